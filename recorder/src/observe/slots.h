/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * Where a call under way is remembered between its beginning and its end: by its registers, which are the same at both. Knows no
 * tracepoint and no file. */
/* The low half is enough. Copied by one 32-bit move, which makes a number of it; on pointers the verifier allows no shift. */
INLINE u32 key_of(struct pt_regs *regs)
{
	u32 low;
	asm volatile("%0 = %1" : "=w"(low) : "w"((u32)(u64)regs));
	return (low >> STACK_SHIFT) & slot_mask;
}

/* Where the call with these registers is, or is to be, remembered. */
INLINE struct slot *slot_of(struct pt_regs *regs)
{
	u32 key = key_of(regs);
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot || slot->tag == (u64)regs || !crowd)
		return slot;
	u64 tag = (u64)regs;
	struct slot *other = bpf_map_lookup_elem(&crowded, &tag);
	return other ? other : slot;
}

INLINE struct control *control_of(u32 cpu)
{
	return bpf_map_lookup_elem(&controls, &cpu);
}

/* Its call began and was never seen to end: now another has its slot. */
INLINE void give_up(struct slot *slot, struct control *control)
{
	struct record *record = &slot->record;
	if (control && (record->file || record->other || record->requests))
		__sync_fetch_and_add(&control->unended, 1);
}

/* Makes a place for the current call, whose slot another call has. Of one that finds none its requests tell, if it has no file
 * of ours. A function of its own to the verifier, as it is rare. */
__attribute__((noinline)) int crowd_in(u32 has_file)
{
	u64 tag = bpf_task_pt_regs(bpf_get_current_task_btf());
	struct control *control = control_of(bpf_get_smp_processor_id());
	struct slot *slot = bpf_map_lookup_elem(&crowded, &tag);
	if (slot) {
		give_up(slot, control);
		return 0;
	}
	static const struct slot empty;
	if (bpf_map_update_elem(&crowded, &tag, &empty, NOEXIST)) {
		if (control && has_file)
			__sync_fetch_and_add(&control->unended, 1);
		return 0;
	}
	__sync_fetch_and_add(&crowd, 1);
	if (control)
		__sync_fetch_and_add(&control->crowded, 1);
	return 0;
}

/* Takes a slot that no other call under way has. Two CPUs may want the same one at the same moment. */
INLINE struct slot *take_slot(struct pt_regs *regs, int has_file)
{
	u32 key = key_of(regs);
	u64 tag = (u64)regs;
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot)
		return 0;
	u64 there = __sync_val_compare_and_swap(&slot->tag, 0, tag);
	if (!there)
		return slot;
	if (there == tag) {
		give_up(slot, control_of(bpf_get_smp_processor_id()));
		return slot;
	}
	crowd_in(has_file);
	slot = bpf_map_lookup_elem(&crowded, &tag);
	if (slot)
		slot->tag = tag;
	return slot;
}

INLINE void release(struct slot *slot, struct pt_regs *regs)
{
	u32 key = key_of(regs);
	slot->tag = 0;
	if (!crowd || slot == bpf_map_lookup_elem(&slots, &key))
		return;
	u64 tag = (u64)regs;
	bpf_map_delete_elem(&crowded, &tag);
	__sync_fetch_and_add(&crowd, -1);
}
