/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * How much a call moves and where, as far as the program's memory tells; and which files may change without a call. */

/* struct iovec. That of a 32-bit program has half of it: then two numbers lie in one. */
struct buffer {
	u64 base;
	u64 len;
};
/* Read at once, and as a whole: PostgreSQL fills its log with 32. */
#define BUFFERS 8
#define MOST_BUFFERS 64
#define UNKNOWN (~0ull)

/* What the buffers of a vector hold together; unknown if there are many, or if they are not in memory. Not static: so the
 * verifier looks at its loop once, not once for each way that leads to it. */
__attribute__((noinline)) u64 length_of(u64 vector, u64 count, u32 has_32_bits)
{
	u64 sum = 0;
	u32 bytes = has_32_bits ? sizeof(u64) : sizeof(struct buffer);
	if (count > MOST_BUFFERS)
		return UNKNOWN;
	for (u64 first = 0; first < MOST_BUFFERS && first < count; first += BUFFERS) {
		/* What is not read counts nothing: no branch for each. */
		struct buffer buffers[BUFFERS] = {};
		u64 here = count - first < BUFFERS ? count - first : BUFFERS;
		if (bpf_probe_read_user(buffers, (here & (2 * BUFFERS - 1)) * bytes, (void *)(vector + first * bytes)))
			return UNKNOWN;
		u64 *halves = (u64 *)buffers;
#pragma unroll
		for (int i = 0; i < BUFFERS; i++)
			sum += has_32_bits ? halves[i] >> 32 : buffers[i].len;
	}
	return sum;
}

#define MMAP 9
/* MAP_SHARED or MAP_SHARED_VALIDATE: MAP_PRIVATE is 2. */
#define MAP_SHARED 1

/* Before the map is there: from now on the file may change without a call. */
INLINE void note_map(u64 node, u32 connection)
{
	u32 bit = (node + ((u64)connection << 11)) & (MAPPED_BITS - 1);
	u32 key = bit >> 6;
	u64 *word = bpf_map_lookup_elem(&mapped, &key);
	if (word)
		__sync_fetch_and_or(word, 1ull << (bit & 63));
}

#define SENDFILE 40
#define SPLICE 275
#define COPY_FILE_RANGE 326
#define PWRITEV2 328
#define RWF_APPEND 0x10

/* Where a transfer reads or writes one of its files: where the program tells it to, by pointer, else at the file's position. */
INLINE u64 place_in(u64 told, u64 position, u32 is_short)
{
	if (told && bpf_probe_read_user(&position, sizeof position, (const void *)told))
		return UNKNOWN;
	return told && is_short ? (u32)position : position;
}
