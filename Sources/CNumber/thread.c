#define _GNU_SOURCE
#include "CNumber.h"

#include <pthread.h>
#include <sys/prctl.h>

void prust_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void prust_set_timer_slack(unsigned long nanoseconds) {
    prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}
