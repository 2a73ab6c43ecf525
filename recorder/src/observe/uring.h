/* SPDX-License-Identifier: (MIT OR GPL-2.0-only)
 * Reads and writes of io_uring: each from its submission to its completion, by the kernel's request. Knows no system call. */
/* enum io_uring_op: readv, writev, read_fixed, write_fixed, read, write. */
#define MOVES_DATA(opcode) \
	((opcode) == 1 || (opcode) == 2 || (opcode) == 4 || (opcode) == 5 || (opcode) == 22 || (opcode) == 23)

/* The file is not known yet. */
SEC("tp_btf/io_uring_submit_req") int io_submitted(u64 *ctx)
{
	struct io_kiocb *request = (void *)ctx[0];
	u32 opcode = request->opcode;
	struct task_struct *task = bpf_get_current_task_btf();
	if (!MOVES_DATA(opcode) || task->tgid == self_tgid)
		return 0;
	struct record record = {};
	u64 key = (u64)request;
	record.kind = KIND_IO_URING;
	record.nr = opcode;
	record.position = READ(request, io_rw, kiocb.ki_pos);
	record.si = READ(request, io_rw, len);
	who(&record, task);
	record.start_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&submitted, &key, &record, ANY)) {
		struct control *control = control_of(bpf_get_smp_processor_id());
		if (control)
			__sync_fetch_and_add(&control->unended, 1);
	}
	return 0;
}

SEC("tp_btf/io_uring_complete") int io_completed(u64 *ctx)
{
	u64 key = ctx[1];
	struct io_uring_cqe *cqe = (void *)ctx[2];
	struct record *record = bpf_map_lookup_elem(&submitted, &key);
	if (!record)
		return 0;
	struct ours ours = {};
	struct file *file = READ(key, io_kiocb, file);
	if (file && find(file, &ours)) {
		record->file = ours.file;
		record->kind |= ours.is_node ? IS_NODE : 0;
		record->connection = ours.connection;
		record->result = cqe->res;
		record->duration_ns = bpf_ktime_get_ns() - record->start_ns;
		report(record);
	}
	bpf_map_delete_elem(&submitted, &key);
	return 0;
}
