/* A disk that stalls, for one program: while the file CONTROL exists its fsync and fdatasync do not return.
 *
 *     stall CONTROL PROGRAM ARGS...
 *
 * The kernel asks a supervisor about each of these calls (seccomp's user notifications), which lets them go on or keeps
 * them waiting. The program keeps this process's pid; the supervisor is its child and ends with it. Nothing has to be
 * mounted or frozen, no rights are needed, and a program that waits so can be killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 256
#define LOOK_EVERY_MS 20

static int listener(void) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fsync, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fdatasync, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

/* A call whose thread was interrupted or has ended is asked about again, or not: an error here is no news. */
static void go_on(int fd, __u64 id) {
    struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static void supervise(int fd, const char *control) {
    __u64 waiting[MOST];
    int count = 0;
    for (;;) {
        struct pollfd watched = {.fd = fd, .events = POLLIN};
        int ready = poll(&watched, 1, LOOK_EVERY_MS);
        if (watched.revents & POLLHUP) return;
        if (ready > 0) {
            struct seccomp_notif asked;
            memset(&asked, 0, sizeof asked);
            if (!ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &asked)) {
                if (count == MOST) go_on(fd, waiting[--count]);
                waiting[count++] = asked.id;
            }
        }
        if (access(control, F_OK)) {
            while (count) go_on(fd, waiting[--count]);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int fd = listener();
    if (fd < 0) {
        fprintf(stderr, "stall: seccomp: %s\n", strerror(errno));
        return 1;
    }
    pid_t program = getpid(), supervisor = fork();
    if (supervisor < 0) {
        fprintf(stderr, "stall: fork: %s\n", strerror(errno));
        return 1;
    }
    if (!supervisor) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == program) supervise(fd, argv[1]);
        _exit(0);
    }
    close(fd);
    execv(argv[2], argv + 2);
    fprintf(stderr, "stall: %s: %s\n", argv[2], strerror(errno));
    return 1;
}
