/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * The histogram's bucket of a duration, as trace/histogram.rs has it: exponential, 8 buckets an octave. Needs u64, s32 and
 * INLINE, no kernel: a test compares it with that one. */

/* Longer ones are shifted down to it; eBPF has no instruction that counts leading zeros. */
#define UP(bits) \
	if (!(duration >> (64 - (bits)))) { \
		duration <<= (bits); \
		octave -= (bits); \
	}

/* ceil(8 * log2(duration)) - 1, 0 counting as 1. */
INLINE s32 bucket_of(u64 duration)
{
	s32 octave = 63, above = 0;
	if (!duration)
		duration = 1;
	UP(32) UP(16) UP(8) UP(4) UP(2) UP(1)
	/* floor(2^(63 + j/8)) for j = 0..8. */
	above += duration > 0x8000000000000000ull;
	above += duration > 0x8b95c1e3ea8bd6e6ull;
	above += duration > 0x9837f0518db8a96full;
	above += duration > 0xa5fed6a9b15138eaull;
	above += duration > 0xb504f333f9de6484ull;
	above += duration > 0xc5672a115506daddull;
	above += duration > 0xd744fccad69d6af4ull;
	above += duration > 0xeac0c6e7dd24392eull;
	return 8 * octave + above - 1;
}
