/* session PORT MEGABYTES LOG: a TCP server whose state is in its memory only.
 * Every 20 ms each client gets "tick NUMBER"; "get" is answered by "value NUMBER", "inc" counts one
 * further, and "who" is answered by "who PID KERNEL SUM", the sum being that of its memory.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 62
#define EVERY 20

static struct pollfd polled[CLIENTS + 1]; /* the server and the clients */
static long value, ticks;
static uint64_t *memory;
static size_t words;
static FILE *logfile;

static void say(const char *text)
{
    fprintf(logfile, "%ld %s\n", ticks, text);
    fflush(logfile);
}

static void forget(struct pollfd *client)
{
    close(client->fd);
    client->fd = -1;
    say("a client left");
}

static void end(int number)
{
    (void)number;
    _exit(0);
}

static void send_line(struct pollfd *client, const char *line)
{
    if (client->fd >= 0 && send(client->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        forget(client);
}

/* what the kernel's own timers have left is not always restored: time is looked at instead */
static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tick(void)
{
    char line[64];
    snprintf(line, sizeof line, "tick %ld\n", ++ticks);
    for (int i = 1; i < CLIENTS + 1; i++)
        send_line(&polled[i], line);
}

static void admit(int server)
{
    int one = 1, fd = accept(server, NULL, NULL);
    for (int i = 1; fd >= 0 && i < CLIENTS + 1; i++)
        if (polled[i].fd < 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            polled[i].fd = fd;
            polled[i].events = POLLIN;
            say("a client came");
            return;
        }
    if (fd >= 0)
        close(fd);
}

static void serve(struct pollfd *client)
{
    char text[512], line[256];
    ssize_t size = recv(client->fd, text, sizeof text - 1, MSG_DONTWAIT);
    if (size <= 0) {
        forget(client);
        return;
    }
    text[size] = 0;
    for (char *word = strtok(text, "\r\n "); word; word = strtok(NULL, "\r\n ")) {
        if (!strcmp(word, "who")) {
            struct utsname system;
            uint64_t sum = 0;
            for (size_t i = 0; i < words; i++)
                sum = sum * 31 + memory[i];
            uname(&system);
            snprintf(line, sizeof line, "who %d %s %016lx\n", getpid(), system.release, sum);
        } else {
            if (!strcmp(word, "inc"))
                value++;
            snprintf(line, sizeof line, "value %ld\n", value);
        }
        send_line(client, line);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 4 || !(logfile = fopen(argv[3], "a")))
        return 2;
    address.sin_port = htons(atoi(argv[1]));
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 64)) {
        perror("session");
        return 1;
    }
    words = ((size_t)atoi(argv[2]) << 20) / sizeof *memory;
    memory = malloc(words * sizeof *memory + 1);
    for (size_t i = 0; i < words; i++)
        memory[i] = i * 0x9e3779b97f4a7c15u + getpid();
    for (int i = 0; i < CLIENTS + 1; i++)
        polled[i].fd = -1;
    polled[0] = (struct pollfd){server, POLLIN, 0};
    signal(SIGTERM, end); /* the first process of a namespace is not ended otherwise */
    say("begins");
    for (long next = milliseconds() + EVERY;;) {
        long left = next - milliseconds();
        if (left <= 0) {
            tick();
            next = milliseconds() + EVERY;
            continue;
        }
        if (poll(polled, CLIENTS + 1, left) < 0)
            continue;
        if (polled[0].revents & POLLIN)
            admit(server);
        for (int i = 1; i < CLIENTS + 1; i++)
            if (polled[i].fd >= 0 && polled[i].revents)
                serve(&polled[i]);
    }
}
