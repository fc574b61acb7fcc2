#define _GNU_SOURCE
#include "CNumber.h"

#include <pthread.h>

void prust_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
