/* A clock that runs at another rate, for the one program that ROOST_SKEW_PROGRAM names: preloaded before libc.
 *
 *     skewed = base + (real - base) * rate      for CLOCK_MONOTONIC and CLOCK_BOOTTIME
 *
 * A formula without state, so that a guard and the children it starts in any order read the same clock, and none waits
 * for a lock that a killed one holds. (libfaketime has both faults here: it gives CLOCK_BOOTTIME the wall clock's value,
 * and its timerfd_settime turns an absolute time of that clock into one that never comes: the guard would be blind.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <time.h>

static double rate = 1;
static long long base;
static int on;

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static int (*real_timer_settime)(timer_t, int, const struct itimerspec *, struct itimerspec *);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);
static int (*real_nanosleep)(const struct timespec *, struct timespec *);
static int (*real_clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *program = getenv("ROOST_SKEW_PROGRAM"), *by = getenv("ROOST_SKEW_RATE"), *from = getenv("ROOST_SKEW_BASE_NS");
    real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_settime = dlsym(RTLD_NEXT, "timerfd_settime");
    real_timer_settime = dlsym(RTLD_NEXT, "timer_settime");
    real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
    real_nanosleep = dlsym(RTLD_NEXT, "nanosleep");
    real_clock_nanosleep = dlsym(RTLD_NEXT, "clock_nanosleep");
    if (program && by && from && !strncmp(program_invocation_short_name, program, strlen(program))) {
        rate = atof(by);
        base = atoll(from);
        on = rate > 0;
    }
}

static long long ns(const struct timespec *at) { return at->tv_sec * 1000000000LL + at->tv_nsec; }

static struct timespec at(long long ns) {
    struct timespec at = {ns / 1000000000LL, ns % 1000000000LL};
    return at;
}

static int skewed(clockid_t id) {
    return on && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_RAW || id == CLOCK_MONOTONIC_COARSE || id == CLOCK_BOOTTIME);
}

static struct timespec moment(const struct timespec *skewed) { return at(base + (long long)((ns(skewed) - base) / rate)); }
static struct timespec length(const struct timespec *skewed) { return at((long long)(ns(skewed) / rate)); }

int clock_gettime(clockid_t id, struct timespec *now) {
    if (!real_gettime) real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_gettime(id, now);
    if (!failed && skewed(id)) *now = at(base + (long long)((ns(now) - base) * rate));
    return failed;
}

static struct itimerspec setting(const struct itimerspec *new, int is_absolute) {
    struct itimerspec real = *new;
    if (on && ns(&new->it_value)) {
        real.it_value = is_absolute ? moment(&new->it_value) : length(&new->it_value);
        real.it_interval = length(&new->it_interval);
    }
    return real;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
    struct itimerspec real = setting(new, flags & TFD_TIMER_ABSTIME);
    return real_settime(fd, flags, &real, old);
}

int timer_settime(timer_t timer, int flags, const struct itimerspec *new, struct itimerspec *old) {
    struct itimerspec real = setting(new, flags & TIMER_ABSTIME);
    return real_timer_settime(timer, flags, &real, old);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int ms) {
    return real_epoll_wait(fd, events, most, on && ms > 0 ? (int)(ms / rate) + 1 : ms);
}

int nanosleep(const struct timespec *for_, struct timespec *left) {
    struct timespec real = on ? length(for_) : *for_;
    return real_nanosleep(&real, left);
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *until, struct timespec *left) {
    struct timespec real = *until;
    if (skewed(id)) real = flags & TIMER_ABSTIME ? moment(until) : length(until);
    return real_clock_nanosleep(id, flags, &real, left);
}
