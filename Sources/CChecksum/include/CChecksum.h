#pragma once
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of `count` bytes, continuing from `crc`
/// (0 to begin). The result of one call is the `crc` of the next, so a long input can come in
/// pieces. Uses the processor's instruction where there is one.
uint32_t prust_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same by tables alone; for tests, and for processors without the instruction.
uint32_t prust_crc32c_software(uint32_t crc, const void *bytes, size_t count);

/// 1 when `prust_crc32c` uses the processor's instruction.
int prust_crc32c_is_hardware(void);
