#define _GNU_SOURCE
#include <malloc.h>
#include "CNumber.h"

#include <pthread.h>
#include <sys/prctl.h>

void prust_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void prust_set_timer_slack(unsigned long nanoseconds) {
    prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}

void prust_tune_allocator(void) {
    // Without fast bins there is nothing to merge in one long walk when a large block is freed.
    mallopt(M_MXFAST, 0);
    // Memory goes back to the system rarely, and comes from it in large pieces: each time costs
    // calls and page faults that all clients of the loop wait for.
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 16 << 20);
}
