/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * Reads and writes by libaio. The kernel has no tracepoint for a single one: what is asked for is read from the program's iocbs
 * when io_submit begins, what came of it from the ring of events that kernel and program share, when io_submit ends (the kernel
 * serves our files at once), or from what io_getevents hands over. So it ends when that is seen, at most then. */

/* struct iocb, the part that is read. */
struct iocb_asked {
	u64 data;
	u32 key;
	u32 rw_flags;
	u16 opcode;
	s16 priority;
	u32 fd;
	u64 buffer;
	u64 length;
	s64 offset;
};

/* struct io_event */
struct iocb_done {
	u64 data;
	u64 iocb;
	s64 result;
	s64 second;
};

/* struct aio_ring, the part that is read: the events follow its header. */
struct event_ring {
	u32 id;
	u32 events;
	u32 head;
	u32 tail;
};
#define RING_HEADER 32

#define IO_SUBMIT 209
/* A batch is rarely above 1000. */
#define MOST_IOCBS 65536
/* enum: pread, pwrite, preadv, pwritev. */
#define MOVES_DATA_BY_AIO(opcode) ((opcode) == 0 || (opcode) == 1 || (opcode) == 7 || (opcode) == 8)
#define APPENDS_BY_AIO(opcode) ((opcode) & 1 ? (opcode) == 1 : (opcode) == 8)

/* An io_submit under way, or a list of events: what the loops below share. */
struct batch {
	u64 list;
	u64 start_ns;
	u32 first;
	u32 modulo;
	u32 unread;
	u32 is_second_look;
	u32 has_32_bits;
};

/* The place of the iocb with that number; 0: it is not in memory. */
INLINE u64 iocb_at(struct batch *batch, u64 index)
{
	u64 iocb = 0;
	u32 bytes = batch->has_32_bits ? sizeof(u32) : sizeof(u64);
	return bpf_probe_read_user(&iocb, bytes, (void *)(batch->list + index * bytes)) ? 0 : iocb;
}

INLINE struct flying flying_of(u64 iocb)
{
	return (struct flying){ .mm = (u64)FOLLOW(bpf_get_current_task_btf(), task_struct, mm), .iocb = iocb };
}

INLINE void count_flying(s64 more)
{
	struct control *control = control_of(bpf_get_smp_processor_id());
	if (control)
		__sync_fetch_and_add(&control->flying, more);
}

/* Ours or not, as far as its descriptor is a file of ours. */
INLINE int is_ours(struct iocb_asked *asked, struct record *record)
{
	struct opened opened = {};
	if (!MOVES_DATA_BY_AIO(asked->opcode) || !look_up(asked->fd, &opened))
		return 0;
	struct ours ours = opened.ours;
	u32 appends = opened.flags & O_APPEND || asked->rw_flags & RWF_APPEND;
	record->file = ours.file;
	record->position = appends && APPENDS_BY_AIO(asked->opcode) ? UNKNOWN : asked->offset;
	record->si = asked->length;
	record->nr = asked->opcode;
	record->kind = KIND_AIO | (ours.is_node ? IS_NODE : 0);
	record->connection = ours.connection;
	return 1;
}

static long submit_one(u64 index, struct batch *batch)
{
	u64 iocb = iocb_at(batch, index);
	struct iocb_asked asked;
	struct record record = {};
	if (!iocb || bpf_probe_read_user(&asked, sizeof asked, (void *)iocb)) {
		batch->unread++;
		return 0;
	}
	if (!is_ours(&asked, &record))
		return 0;
	who(&record, bpf_get_current_task_btf());
	record.start_ns = batch->start_ns;
	struct flying key = flying_of(iocb);
	struct control *control = control_of(bpf_get_smp_processor_id());
	if (!control)
		return 0;
	int is_there = bpf_map_lookup_elem(&flying, &key) != 0;
	if (is_there && batch->is_second_look)
		return 0;
	/* There from before: the program has fetched its result where nobody saw it. */
	if (bpf_map_update_elem(&flying, &key, &record, ANY) || is_there)
		__sync_fetch_and_add(&control->unended, 1);
	else
		__sync_fetch_and_add(&control->flying, 1);
	return 0;
}

/* The kernel has not taken it. */
static long withdraw_one(u64 index, struct batch *batch)
{
	struct flying key = flying_of(iocb_at(batch, batch->first + index));
	struct record *record = bpf_map_lookup_elem(&flying, &key);
	if (record && record->start_ns == batch->start_ns && !bpf_map_delete_elem(&flying, &key))
		count_flying(-1);
	return 0;
}

static long complete_one(u64 index, struct batch *batch)
{
	struct iocb_done done;
	u64 place = batch->modulo ? (batch->first + (u32)index) % batch->modulo : index;
	if (bpf_probe_read_user(&done, sizeof done, (void *)(batch->list + place * sizeof done)))
		return 0;
	struct flying key = flying_of(done.iocb);
	struct record *record = bpf_map_lookup_elem(&flying, &key);
	/* Two threads may see the same event. */
	if (!record || __sync_val_compare_and_swap(&record->commit, 0, 1))
		return 0;
	record->result = done.result;
	record->duration_ns = bpf_ktime_get_ns() - record->start_ns;
	report(record);
	bpf_map_delete_elem(&flying, &key);
	count_flying(-1);
	return 0;
}

/* A function of its own to the verifier. `nr`: io_submit's. */
__attribute__((noinline)) int aio_begins(u32 nr)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct arguments its = {};
	if (!arguments_of_any(regs, &its))
		return 0;
	struct slot *slot = take_slot(regs, 0);
	if (!slot)
		return 0;
	struct event_ring ring = {};
	struct batch batch = { .list = its.dx, .start_ns = bpf_ktime_get_ns(), .has_32_bits = its.has_32_bits };
	slot->record.file = slot->record.other = slot->record.requests = 0;
	slot->record.nr = nr;
	slot->record.start_ns = batch.start_ns;
	bpf_probe_read_user(&ring, sizeof ring, (void *)its.di);
	/* 0 events: not read. */
	slot->record.r8 = ring.events;
	slot->record.position = ring.tail;
	bpf_loop(its.si < MOST_IOCBS ? its.si : MOST_IOCBS, submit_one, &batch, 0);
	slot->record.r10 = batch.unread;
	return 0;
}

INLINE void submitted_all(struct arguments *its, struct slot *slot, u64 taken)
{
	struct batch batch = {
		.list = its->dx,
		.start_ns = slot->record.start_ns,
		.first = taken,
		.has_32_bits = its->has_32_bits,
	};
	u64 asked = its->si < MOST_IOCBS ? its->si : MOST_IOCBS;
	/* The kernel has brought in by now what was not in memory. */
	if (slot->record.r10) {
		batch.is_second_look = 1;
		bpf_loop(taken < asked ? taken : asked, submit_one, &batch, 0);
	}
	if (taken < asked)
		bpf_loop(asked - taken, withdraw_one, &batch, 0);
	struct event_ring ring = {};
	u32 events = slot->record.r8, tail = slot->record.position;
	if (!events || bpf_probe_read_user(&ring, sizeof ring, (void *)its->di) || ring.events != events)
		return;
	u32 news = ring.tail >= tail ? ring.tail - tail : ring.tail + events - tail;
	struct batch ended = { .list = its->di + RING_HEADER, .first = tail, .modulo = events };
	bpf_loop(news < MOST_IOCBS ? news : MOST_IOCBS, complete_one, &ended, 0);
}

/* 0: the number means another call in this world. A function of its own to the verifier. */
__attribute__((noinline)) int aio_ends(s64 result)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct arguments its = {};
	if (!arguments_of_any(regs, &its) || !(calls[its.nr & (CALLS - 1)] & AIO))
		return 0;
	if (its.nr != IO_SUBMIT) {
		struct batch batch = { .list = its.r10 };
		if (result > 0)
			bpf_loop(result < MOST_IOCBS ? result : MOST_IOCBS, complete_one, &batch, 0);
		return 1;
	}
	struct slot *slot = slot_of(regs);
	if (!slot || slot->tag != (u64)regs)
		return 1;
	submitted_all(&its, slot, result > 0 ? result : 0);
	release(slot, regs);
	return 1;
}
