#include "CChecksum.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#elif defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define POLYNOMIAL 0x82F63B78u

// Slicing by eight: table 0 steps one byte, table k steps a byte with k zero bytes behind it.
static uint32_t tables[8][256];
static atomic_int tables_state; // 0 empty, 1 being filled, 2 ready

static void fill_tables(void) {
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1u)));
        }
        tables[0][value] = crc;
    }
    for (uint32_t value = 0; value < 256; value++) {
        for (int k = 1; k < 8; k++) {
            uint32_t before = tables[k - 1][value];
            tables[k][value] = (before >> 8) ^ tables[0][before & 0xFFu];
        }
    }
}

static void prepare_tables(void) {
    int empty = 0;
    if (atomic_load_explicit(&tables_state, memory_order_acquire) == 2) { return; }
    if (atomic_compare_exchange_strong(&tables_state, &empty, 1)) {
        fill_tables();
        atomic_store_explicit(&tables_state, 2, memory_order_release);
        return;
    }
    while (atomic_load_explicit(&tables_state, memory_order_acquire) != 2) { }
}

static uint64_t load64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t prust_crc32c_software(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    prepare_tables();
    crc = ~crc;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word = load64(next) ^ crc;
        crc = tables[7][word & 0xFF] ^ tables[6][(word >> 8) & 0xFF]
            ^ tables[5][(word >> 16) & 0xFF] ^ tables[4][(word >> 24) & 0xFF]
            ^ tables[3][(word >> 32) & 0xFF] ^ tables[2][(word >> 40) & 0xFF]
            ^ tables[1][(word >> 48) & 0xFF] ^ tables[0][word >> 56];
    }
    for (; count > 0; count--, next++) {
        crc = (crc >> 8) ^ tables[0][(crc ^ *next) & 0xFF];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t crc32c_hardware(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    uint64_t state = (uint32_t)~crc;
    for (; count >= 8; count -= 8, next += 8) { state = _mm_crc32_u64(state, load64(next)); }
    for (; count > 0; count--, next++) { state = _mm_crc32_u8((uint32_t)state, *next); }
    return ~(uint32_t)state;
}

static int has_hardware(void) { return __builtin_cpu_supports("sse4.2") ? 1 : 0; }
#elif defined(__aarch64__) && defined(__linux__)
__attribute__((target("crc")))
static uint32_t crc32c_hardware(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    uint32_t state = ~crc;
    for (; count >= 8; count -= 8, next += 8) { state = __crc32cd(state, load64(next)); }
    for (; count > 0; count--, next++) { state = __crc32cb(state, *next); }
    return ~state;
}

static int has_hardware(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#else
static uint32_t crc32c_hardware(uint32_t crc, const void *bytes, size_t count) {
    return prust_crc32c_software(crc, bytes, count);
}

static int has_hardware(void) { return 0; }
#endif

int prust_crc32c_is_hardware(void) {
    static atomic_int known; // 0 not asked yet, 1 no, 2 yes
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        answer = 1 + has_hardware();
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}

uint32_t prust_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return prust_crc32c_is_hardware() ? crc32c_hardware(crc, bytes, count)
                                      : prust_crc32c_software(crc, bytes, count);
}
