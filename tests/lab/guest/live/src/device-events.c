/* device-events PROGRAM: run a program for each NIC and each disk that comes or goes.
 * The kernel's event is in its environment.  Nobody is woken for the dozen other events that a
 * device makes: a program that starts is dear in a guest whose processor is emulated.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLES 64

static int concerns(const char *action, const char *subsystem)
{
    if (!action || !subsystem || (strcmp(action, "add") && strcmp(action, "remove")))
        return 0;
    return !strcmp(subsystem, "net") || !strcmp(subsystem, "block");
}

int main(int count, char **arguments)
{
    static char text[65536];
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
    if (count != 2 || events < 0 || bind(events, (struct sockaddr *)&kernel, sizeof kernel)) {
        perror("device-events");
        return 1;
    }
    for (;;) {
        ssize_t size = recv(events, text, sizeof text - 1, 0);
        if (size <= 0)
            continue;
        text[size] = 0;
        char *variables[VARIABLES + 2], *action = 0, *subsystem = 0;
        int found = 0;
        variables[found++] = "PATH=/sbin:/usr/sbin:/bin:/usr/bin";
        /* the first line says what and where; variables follow */
        for (char *at = text + strlen(text) + 1; at < text + size && found <= VARIABLES;
             at += strlen(at) + 1) {
            variables[found++] = at;
            if (!strncmp(at, "ACTION=", 7))
                action = at + 7;
            if (!strncmp(at, "SUBSYSTEM=", 10))
                subsystem = at + 10;
        }
        variables[found] = 0;
        if (!concerns(action, subsystem))
            continue;
        if (!fork()) {
            execle(arguments[1], arguments[1], (char *)0, variables);
            _exit(127);
        }
        wait(0);
    }
}
