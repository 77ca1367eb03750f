/* counter PORT FILE: an HTTP server that counts in a file.
 * GET /state says who answers and how far it has counted; GET /bump counts one further.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *path;

static long count(void)
{
    long value = 0;
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%ld", &value) != 1)
            value = 0;
        fclose(file);
    }
    return value;
}

/* the file is whole at any time, and on the disk before anybody is told */
static int keep(long value)
{
    char name[256];
    snprintf(name, sizeof name, "%s.new", path);
    FILE *file = fopen(name, "w");
    if (!file)
        return -1;
    fprintf(file, "%ld\n", value);
    fflush(file);
    fsync(fileno(file));
    fclose(file);
    return rename(name, path);
}

static void answer(int client)
{
    char request[1024], body[512], head[256], boot[64] = "", host[128] = "";
    struct utsname system;
    ssize_t size = read(client, request, sizeof request - 1);
    if (size <= 0)
        return;
    request[size] = 0;
    int bump = !strncmp(request, "GET /bump ", 10), known = bump || !strncmp(request, "GET /state ", 11);
    if (bump && keep(count() + 1))
        known = 0;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (file) {
        if (fscanf(file, "%63s", boot) != 1)
            boot[0] = 0;
        fclose(file);
    }
    gethostname(host, sizeof host - 1);
    uname(&system);
    snprintf(body, sizeof body,
             "{\"hostname\": \"%s\", \"kernel\": \"%s\", \"boot_id\": \"%s\", \"count\": %ld}\n", host,
             system.release, boot, count());
    if (!known)
        strcpy(body, "{}\n");
    snprintf(head, sizeof head,
             "HTTP/1.0 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             known ? "200 OK" : "404 Not Found", strlen(body));
    if (write(client, head, strlen(head)) > 0 && write(client, body, strlen(body)) > 0)
        shutdown(client, SHUT_WR);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct timeval limit = {.tv_sec = 2};
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 3)
        return 2;
    path = argv[2];
    address.sin_port = htons(atoi(argv[1]));
    signal(SIGPIPE, SIG_IGN);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 64)) {
        perror("counter");
        return 1;
    }
    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client < 0)
            continue;
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        answer(client);
        close(client);
    }
}
