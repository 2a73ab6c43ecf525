/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * Adds up what a full ring refuses, so that totals stay exact: into `sheds`, from where the reader takes it. */

/* The half to add to, kept from being taken until `leave`; -1: the reader is just changing it, again and again. */
INLINE s32 enter(struct control *control)
{
#pragma unroll
	for (int i = 0; i < 4; i++) {
		u32 half = *(volatile u64 *)&control->half & 1;
		__sync_fetch_and_add(&control->adding[half], 1);
		/* The reader changes it, then looks for those that add: either it sees us, or we see the change. */
		if ((*(volatile u64 *)&control->half & 1) == half)
			return half;
		__sync_fetch_and_add(&control->adding[half], -1);
	}
	return -1;
}

INLINE void leave(struct control *control, u32 half)
{
	__sync_fetch_and_add(&control->adding[half & 1], -1);
}

/* What a call is named after, beside its number: which files it has, and what unlinkat takes away. */
INLINE u8 shed_kind(struct record *record)
{
	u8 kind = record->kind & KIND_MASK;
	if (kind != KIND_CALL)
		return kind;
	if (calls[record->nr & (CALLS - 1)] & OTHER_MASK)
		return kind | (record->file ? SHED_HAS_FILE : 0) | (record->other ? SHED_HAS_OTHER : 0);
	return kind | (record->nr == 263 && record->dx & AT_REMOVEDIR ? SHED_REMOVES_DIRECTORY : 0);
}

INLINE struct shed *sum_of(struct control *control, struct record *record, u32 half)
{
	struct shed_key key = {
		.second = (record->start_ns + control->wall_minus_mono_ns) / 1000000000,
		.nr = record->nr,
		.error = record->result < 0 && record->result >= -4095 ? -record->result : 0,
		.bucket = bucket_of(record->duration_ns),
		.kind = shed_kind(record),
		.half = half,
	};
	struct shed *sum = bpf_map_lookup_elem(&sheds, &key);
	if (sum)
		return sum;
	static const struct shed nothing;
	/* Refused if another CPU has just done it: then it is there too. */
	bpf_map_update_elem(&sheds, &key, &nothing, NOEXIST);
	return bpf_map_lookup_elem(&sheds, &key);
}

INLINE void shed(struct control *control, struct record *record)
{
	__sync_fetch_and_add(&control->shed, 1);
	s32 half = enter(control);
	struct shed *sum = half < 0 ? 0 : sum_of(control, record, half);
	if (sum) {
		u64 duration = record->duration_ns;
		if (!sum->count || duration < sum->min_ns)
			sum->min_ns = duration;
		if (duration > sum->max_ns)
			sum->max_ns = duration;
		__sync_fetch_and_add(&sum->bytes, record->result > 0 ? record->result : 0);
		__sync_fetch_and_add(&sum->duration_ns, duration);
		__sync_fetch_and_add(&sum->count, 1);
	} else {
		__sync_fetch_and_add(&control->uncounted, 1);
	}
	if (half >= 0)
		leave(control, half);
}
