/* The kernel release of uname(2) on a host, preloaded: what /proc says there. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

int uname(struct utsname *name)
{
    int result = syscall(SYS_uname, name);
    FILE *file = result ? NULL : fopen("/proc/sys/kernel/osrelease", "re");
    if (file) {
        if (fgets(name->release, sizeof(name->release), file))
            name->release[strcspn(name->release, "\n")] = 0;
        fclose(file);
    }
    return result;
}
