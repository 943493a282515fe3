/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720 appendix B.4), by the processor's
 * instruction where there is one (SSE 4.2, ARMv8 CRC), else by table.
 *
 * crc32c - @seed: 0, or the result for the bytes before these. Returns the checksum so far.
 */
uint32_t crc32c(uint32_t seed, const void *data, size_t count);

/* crc32c_portable - the table version, for tests and for processors without the instruction. */
uint32_t crc32c_portable(uint32_t seed, const void *data, size_t count);

#endif
