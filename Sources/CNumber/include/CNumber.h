#pragma once
#include <stddef.h>

// Numbers in the C library's long double, which Swift has only on some processors and which
// INCRBYFLOAT must use to give the answers that clients of Redis expect.

enum {
    PRUST_NUMBER_BYTE_COUNT_MAX = 5 * 1024,
    PRUST_NUMBER_NOT_A_NUMBER = -1,
    PRUST_NUMBER_NOT_FINITE = -2,
};

/// Adds two decimal numbers and writes the sum without an exponent and trailing zeros.
///
/// Without has_old the first number counts as 0. Returns the bytes written, or a negative code.
long prust_add_long_double(const char *old, size_t old_count, int has_old, const char *amount,
                           size_t amount_count, char *out, size_t out_count);

/// Names the calling thread, for tools such as top; Linux keeps 15 bytes.
void prust_name_thread(const char *name);

/// Bounds by how much the calling thread's sleeps may be late.
void prust_set_timer_slack(unsigned long nanoseconds);

/// Sets up malloc for a process in which thousands of connections come and go at once; to be
/// called before there is a second thread.
void prust_tune_allocator(void);
