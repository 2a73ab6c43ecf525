/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * Calls of 32-bit programs: their arguments as a 64-bit program gives them to the same call. Which call that is and how the
 * arguments are given is told by the loader (compat.rs), in `calls_of_32_bits`. */

/* Of a call, by the registers that a 64-bit program gives them in. */
struct arguments {
	u64 di, si, dx, r10, r8, r9;
	u32 nr;
	u32 has_32_bits;
	u32 has_short_place;
};

/* Given::code there. */
#define NUMBER(code) (((code) & 0x3ff) - 1)
#define PAIR(code) ((code) >> 10 & 3)
#define IS_TWICE(code) ((code) >> 12 & 1)
#define OTHERWISE(code) ((code) >> 13)
#define HIGH_FIRST 1
#define PAGES 2
#define SIGNED 3
#define BLOCK 4
#define SHORT_PLACE 5

/* What lay in two arguments becomes one, and those behind it move up. */
INLINE void join_pairs(struct arguments *its, u32 code)
{
	if (PAIR(code) == 1) {
		its->si |= its->dx << 32;
		its->dx = its->r10;
		its->r10 = its->r8;
		its->r8 = its->r9;
		if (IS_TWICE(code)) {
			its->dx |= its->r10 << 32;
			its->r10 = its->r8;
		}
	} else if (PAIR(code) == 2) {
		its->dx |= its->r10 << 32;
		its->r10 = its->r8;
		its->r8 = its->r9;
		if (IS_TWICE(code))
			its->r10 |= its->r8 << 32;
	} else if (PAIR(code) == 3) {
		/* What is behind it (preadv2's flags) is where a 64-bit program has it: the call has a high half of its own. */
		its->r10 |= its->r8 << 32;
	}
}

INLINE void unpack_block(struct arguments *its)
{
	u32 block[6];
	if (bpf_probe_read_user(block, sizeof block, (void *)its->di)) {
		its->r8 = -1;
		return;
	}
	its->si = block[1];
	its->dx = block[2];
	its->r10 = block[3];
	its->r8 = block[4];
	its->r9 = block[5];
}

/* 0: none of ours. A function of its own to the verifier too: its many ways are then looked at once, and not each with all
 * that follows. Such a function is given no kernel pointers; the current call's registers are where they always are. */
__attribute__((noinline)) int arguments_of_32_bits(u32 nr, struct arguments *its)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	u32 code = calls_of_32_bits[nr & (CALLS - 1)];
	if (!code || !its)
		return 0;
	its->di = (u32)regs->bx;
	its->si = (u32)regs->cx;
	its->dx = (u32)regs->dx;
	its->r10 = (u32)regs->si;
	its->r8 = (u32)regs->di;
	its->r9 = (u32)regs->bp;
	its->nr = NUMBER(code);
	its->has_32_bits = 1;
	join_pairs(its, code);
	if (OTHERWISE(code) == HIGH_FIRST) {
		its->si = its->si << 32 | its->dx;
		its->dx = its->r8;
	} else if (OTHERWISE(code) == PAGES) {
		its->r9 <<= 12;
	} else if (OTHERWISE(code) == SIGNED) {
		its->si = (s64)(s32)its->si;
	} else if (OTHERWISE(code) == BLOCK) {
		unpack_block(its);
	}
	its->has_short_place = OTHERWISE(code) == SHORT_PLACE;
	return 1;
}

/* Of the call under way, of whichever world; 0: none of ours. */
INLINE int arguments_of_any(struct pt_regs *regs, struct arguments *its)
{
	u32 nr = regs->orig_ax;
	if (bpf_get_current_task_btf()->thread_info.status & TS_COMPAT)
		return arguments_of_32_bits(nr, its);
	*its = (struct arguments){ regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9, nr, 0 };
	return 1;
}
