#include "CNumber.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A number as Redis accepts it: the whole text, no space in front, in range, not NaN.
static int parse(const char *text, size_t count, long double *value) {
    char buffer[PRUST_NUMBER_BYTE_COUNT_MAX];
    if (text == NULL || count == 0 || count >= sizeof(buffer)) return 0;
    memcpy(buffer, text, count);
    buffer[count] = '\0';
    char *end = NULL;
    errno = 0;
    *value = strtold(buffer, &end);
    if (isspace((unsigned char)buffer[0]) || *end != '\0' || (size_t)(end - buffer) != count)
        return 0;
    if (errno == ERANGE && (isinf(*value) || fpclassify(*value) == FP_ZERO)) return 0;
    return errno != EINVAL && !isnan(*value);
}

long prust_add_long_double(const char *old, size_t old_count, int has_old, const char *amount,
                           size_t amount_count, char *out, size_t out_count) {
    long double left = 0, right = 0;
    if (has_old && !parse(old, old_count, &left)) return PRUST_NUMBER_NOT_A_NUMBER;
    if (!parse(amount, amount_count, &right)) return PRUST_NUMBER_NOT_A_NUMBER;
    long double sum = left + right;
    if (isnan(sum) || isinf(sum)) return PRUST_NUMBER_NOT_FINITE;
    // 17 digits behind the point show most short decimal numbers as they were typed.
    int count = snprintf(out, out_count, "%.17Lf", sum);
    if (count < 0 || (size_t)count >= out_count) return PRUST_NUMBER_NOT_FINITE;
    if (strchr(out, '.') != NULL) {
        while (out[count - 1] == '0') count--;
        if (out[count - 1] == '.') count--;
    }
    if (count == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        count = 1;
    }
    return count;
}
