/*
 * test_version.c - the page cache against a server that the test plays: prefixes, restarts that
 * compare, revalidation, failures, and no frame lost by any of them.
 */
#include "fs/fill.h"
#include "inject.h"
#include "shim.h"
#include "world.h"

#include "kernel/clock.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "net/tftp.h"

#include <cmocka.h>
#include <stdlib.h>

/* --- the server ------------------------------------------------------------------------------------ */

#define FILE_MAX (40 * 64 * KIB)
#define BLOCK    1428

static struct {
	uint8_t bytes[FILE_MAX];
	uint64_t size;
	bool tells_size, exists;
	uint64_t fails_at; /* this many bytes come, then `failure`; UINT64_MAX: never */
	int failure;
	unsigned requests;
	uint64_t sent; /* bytes, of all transfers */
} server;

struct tftp_transfer {
	uint8_t *pages[TFTP_SUPPLY_MAX];
	uint64_t supplied, received, size;
	int failure;
	bool complete;
};
static unsigned transfers_open;
static void (*during_wait)(void); /* what another thread does, once */

int tftp_open(uint32_t address, const char *path, struct tftp_transfer **out)
{
	fail(); /* fs/origin.c's business */
	return 0;
}

int64_t tftp_size(const struct tftp_transfer *transfer)
{
	return server.tells_size ? (int64_t)transfer->size : -1;
}

int tftp_supply(struct tftp_transfer *transfer, void *page)
{
	if (transfer->supplied - transfer->received / PAGE_SIZE >= TFTP_SUPPLY_MAX)
		return -ENOSPC;
	transfer->pages[transfer->supplied++ % TFTP_SUPPLY_MAX] = page;
	memset(page, 0xee, PAGE_SIZE); /* nobody may count on zeroes */
	return 0;
}

/* Blocks come until there is enough, or no room for a whole window. */
int tftp_wait(struct tftp_transfer *transfer, uint64_t offset)
{
	if (during_wait != NULL) {
		void (*what)(void) = during_wait;
		during_wait = NULL;
		shim_run_as(1);
		what();
		shim_run_as(0);
	}
	while (transfer->received < offset && !transfer->complete) {
		uint64_t end = MIN(transfer->received + BLOCK, transfer->size);
		uint64_t reach = MIN(transfer->received + TFTP_REACH_MAX, transfer->size);

		if (transfer->received >= server.fails_at)
			transfer->failure = server.failure;
		if (transfer->failure != 0)
			return transfer->failure;
		if (reach > transfer->supplied * PAGE_SIZE)
			return 0; /* it stands still */
		for (; transfer->received < end; transfer->received++, server.sent++) {
			uint64_t at = transfer->received;
			uint8_t *page = transfer->pages[at / PAGE_SIZE % TFTP_SUPPLY_MAX];
			page[at % PAGE_SIZE] = server.bytes[at];
		}
		transfer->complete = transfer->received == transfer->size;
	}
	return 0;
}

uint64_t tftp_received(const struct tftp_transfer *transfer)
{
	return transfer->received;
}

bool tftp_complete(const struct tftp_transfer *transfer)
{
	return transfer->complete;
}

void tftp_close(struct tftp_transfer *transfer)
{
	for (uint64_t i = DIV_ROUND_UP(transfer->received, PAGE_SIZE); i < transfer->supplied; i++)
		transfer->pages[i % TFTP_SUPPLY_MAX][0] = 0; /* ours until now: ASan would say */
	free(transfer);
	transfers_open--;
}

/* --- the rest of the world -------------------------------------------------------------------------- */

static uint64_t now_ns = 1;

uint64_t clock_ns(void)
{
	return ++now_ns;
}

void origin_get(struct origin *origin)
{
	origin->refs++;
}

void origin_put(struct origin *origin)
{
	if (origin != NULL)
		origin->refs--;
}

int origin_open(const struct origin *origin, struct tftp_transfer **out)
{
	server.requests++;
	if (!server.exists)
		return -ENOENT;
	*out = calloc(1, sizeof(**out));
	(*out)->size = server.size;
	transfers_open++;
	return 0;
}

int origin_generation(uint64_t began_ns, uint64_t *out)
{
	*out = 7;
	return 0;
}

void waitq_init(struct waitq *queue, const char *name)
{
}

void waitq_wake_all(struct waitq *queue)
{
}

/* Nobody waits here: whoever would is told that it is being killed. */
void waitq_prepare(struct waitq *queue, struct waiter *waiter)
{
}

int waitq_commit(struct waiter *waiter, enum wait_mode mode, uint64_t deadline_ns)
{
	return -EINTR;
}

void waitq_finish(struct waitq *queue, struct waiter *waiter)
{
}

static bool user_broken; /* user memory is gone */

int copy_from_user(void *to, vaddr_t from, size_t length)
{
	memcpy(to, (const void *)from, user_broken ? length / 2 : length);
	return user_broken ? -EFAULT : 0;
}

int copy_to_user(vaddr_t to, const void *from, size_t length)
{
	memcpy((void *)to, from, length);
	return 0;
}

int user_fault_in(vaddr_t start, size_t length, bool write)
{
	return 0;
}

/* --- what tests say ------------------------------------------------------------------------------------ */

static struct origin *origin;

static int begin(void **state)
{
	server.exists = server.tells_size = true;
	server.fails_at = UINT64_MAX;
	server.requests = 0;
	server.sent = 0;
	server.size = 0;
	slab_drain();
	return world_begin(state);
}

static int end(void **state)
{
	assert_int_equal(origin->refs, 1);
	assert_int_equal(transfers_open, 0);
	slab_drain();
	return world_end(state);
}

/* The server has `size` bytes; the same salt gives the same bytes. */
static void serve(uint64_t size, unsigned salt)
{
	assert_true(size <= FILE_MAX);
	server.size = size;
	for (uint64_t i = 0; i < size; i++)
		server.bytes[i] = (uint8_t)(i * 31 + (i >> 12) * 7 + salt);
}

static struct version *new_version(void)
{
	struct version *version = version_create_wire(origin);

	assert_non_null(version);
	return version;
}

/* The version's bytes are the server's. */
static void assert_same(struct version *version)
{
	uint8_t *copy = malloc(server.size + 1);
	uint64_t size;

	assert_int_equal(version_size(version, &size), 0);
	assert_int_equal(size, server.size);
	assert_int_equal(version_read(version, 0, copy, server.size + 1), server.size);
	assert_memory_equal(copy, server.bytes, server.size);
	free(copy);
}

#define PAGES(n) ((n)*PAGE_SIZE)

/* --- filling --------------------------------------------------------------------------------------------- */

static void files_of_every_size_come_whole(void **state)
{
	static const uint64_t sizes[] = { 0,
					  1,
					  BLOCK,
					  BLOCK + 1,
					  PAGE_SIZE - 1,
					  PAGE_SIZE,
					  PAGE_SIZE + 1,
					  PAGES(16),
					  PAGES(64),
					  PAGES(65) + 5,
					  PAGES(200),
					  PAGES(640) };

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		struct version *version = new_version();

		server.tells_size = i % 2;
		serve(sizes[i / 2], i);
		assert_same(version);
		assert_true(version->complete);
		assert_null(version->fill);
		version_put(version);
	}
}

static void what_is_behind_the_end_of_the_last_page_is_zero(void **state)
{
	static const uint8_t zeroes[PAGE_SIZE];
	struct version *version = new_version();
	struct frame *frame;

	serve(PAGES(1) + 100, 1);
	assert_int_equal(version->object.ops->get_page(&version->object, 1, &frame), 0);
	assert_memory_equal((uint8_t *)frame_data(frame) + 100, zeroes, PAGE_SIZE - 100);
	frame_put(frame);
	assert_int_equal(version->object.ops->get_page(&version->object, 2, &frame), -EFAULT);
	assert_int_equal(version->object.ops->get_page(&version->object, UINT64_MAX, &frame),
			 -EFAULT);
	version_put(version);
}

static void a_prefix_costs_little_more_than_itself(void **state)
{
	struct version *version = new_version();

	serve(PAGES(600), 1);
	assert_int_equal(version_require(version, PAGES(20)), 0);
	assert_true(version->held >= PAGES(20) && version->held <= PAGES(40));
	assert_non_null(version->fill); /* parked, to go on with */
	assert_int_equal(version_require(version, PAGES(100)), 0);
	assert_int_equal(server.requests, 1);
	assert_same(version);
	assert_int_equal(server.requests, 1);
	assert_int_equal(server.sent, server.size);
	version_put(version);
}

static void a_stopped_transfer_starts_again_and_compares(void **state)
{
	struct version *version = new_version();

	serve(PAGES(600), 1);
	assert_int_equal(version_require(version, PAGES(20)), 0);
	version_settle(version); /* far from the end */
	assert_null(version->fill);
	uint64_t held = version->held;
	assert_int_equal(version_require(version, held + 1), 0);
	assert_true(version->held >= 2 * held); /* what came again was worth it */
	assert_same(version);
	assert_int_equal(server.requests, 2);
	version_put(version);
}

static void a_short_rest_is_let_run(void **state)
{
	struct version *version = new_version();

	serve(PAGES(30), 1);
	assert_int_equal(version_require(version, PAGES(17)), 0);
	version_settle(version);
	assert_true(version->complete);
	assert_same(version);
	assert_int_equal(server.requests, 1);
	version_put(version);
}

static void the_rest_of_another_file_is_an_error(void **state)
{
	struct version *version = new_version();
	uint8_t byte;

	serve(PAGES(600), 1);
	assert_int_equal(version_require(version, PAGES(20)), 0);
	fill_stop(version);
	server.bytes[PAGES(3) + 17] ^= 1;
	assert_int_equal(version_require(version, PAGES(300)), -EIO);
	/* What is held stays. */
	assert_int_equal(version_read(version, PAGES(3) + 17, &byte, 1), 1);
	assert_int_equal(byte, server.bytes[PAGES(3) + 17] ^ 1);
	/* And when the old file is back, so is the rest. */
	server.bytes[PAGES(3) + 17] ^= 1;
	assert_same(version);
	version_put(version);
}

static void a_file_of_another_size_is_another_file(void **state)
{
	struct version *version = new_version();

	serve(PAGES(600), 1);
	assert_int_equal(version_require(version, PAGES(20)), 0);
	fill_stop(version);
	server.size = PAGES(599);
	assert_int_equal(version_require(version, PAGES(100)), -EIO);
	version_put(version);
}

static void a_failure_fails_who_waits_and_the_next_starts_anew(void **state)
{
	struct version *version = new_version();

	serve(PAGES(100), 1);
	server.fails_at = PAGES(50);
	server.failure = -ETIMEDOUT;
	assert_int_equal(version_require(version, PAGES(80)), -ETIMEDOUT);
	assert_null(version->fill);
	assert_true(version->held > 0);
	server.fails_at = UINT64_MAX;
	assert_same(version);
	version_put(version);
}

static void an_announced_size_and_nothing_is_a_directory(void **state)
{
	struct version *version = new_version();

	serve(PAGE_SIZE, 1);
	server.fails_at = 0;
	server.failure = -ENODATA;
	assert_int_equal(fill_probe(version), -EISDIR);
	version_put(version);
	version = new_version();
	server.failure = -EIO; /* anything else that goes wrong before the first block is not */
	assert_int_equal(fill_probe(version), -EIO);
	version_put(version);
	version = new_version();
	server.exists = false;
	assert_int_equal(fill_probe(version), -ENOENT);
	version_put(version);
}

static void a_killed_driver_leaves_the_transfer_to_the_next(void **state)
{
	struct version *version = new_version();

	serve(PAGES(100), 1);
	server.fails_at = PAGES(40);
	server.failure = -EINTR;
	assert_int_equal(version_require(version, PAGES(80)), -EINTR);
	assert_non_null(version->fill);
	assert_null(version->driver);
	assert_int_equal(version->failures, 0);
	version_put(version);
}

static struct version *shared;

static void another_thread_wants_it(void)
{
	assert_int_equal(version_require(shared, PAGES(90)), -EINTR); /* it would wait */
	fill_stop(shared);                                            /* not while it is driven */
	fill_settle(shared);
}

static void only_one_drives(void **state)
{
	shared = new_version();
	serve(PAGES(100), 1);
	during_wait = another_thread_wants_it;
	assert_same(shared);
	assert_int_equal(server.requests, 1);
	version_put(shared);
}

static void few_transfers_are_kept_waiting(void **state)
{
	struct version *versions[8];
	unsigned kept = 0;

	serve(PAGES(600), 1);
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		versions[i] = new_version();
		assert_int_equal(version_require(versions[i], PAGES(1)), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++)
		kept += versions[i]->fill != NULL;
	assert_int_equal(kept, 4);
	assert_int_equal(transfers_open, kept);
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++)
		version_put(versions[i]);
}

static void a_transfer_kept_too_long_is_not_gone_on_with(void **state)
{
	struct version *version = new_version();

	serve(PAGES(600), 1);
	assert_int_equal(version_require(version, PAGES(1)), 0);
	now_ns += 2 * NSEC_PER_SEC;
	assert_same(version);
	assert_int_equal(server.requests, 2);
	version_put(version);
}

/* --- revalidation ------------------------------------------------------------------------------------------- */

static void an_unchanged_file_keeps_its_version(void **state)
{
	struct version *version = new_version(), *now;
	struct frame *frame, *again;

	for (unsigned whole = 0; whole < 2; whole++) {
		serve(PAGES(200) + 9, 1);
		assert_int_equal(version_require(version, whole ? UINT64_MAX : PAGES(20)), 0);
		frame = object_lookup(&version->object, 3);
		assert_int_equal(fill_revalidate(version, clock_ns(), 8, &now), 0);
		assert_ptr_equal(now, version);
		again = object_lookup(&version->object, 3);
		assert_ptr_equal(frame, again);
		frame_put(frame);
		frame_put(again);
		version_put(now);
		assert_int_equal(version->generation, 8);
	}
	assert_same(version);
	version_put(version);
}

static void a_changed_file_gets_a_new_version_and_the_old_stays(void **state)
{
	static const uint64_t places[] = { 0, PAGES(3) + 5, PAGES(199), PAGES(200) + 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		struct version *version = new_version(), *now;
		uint8_t old;

		serve(PAGES(200) + 9, 1);
		assert_same(version);
		server.requests = 0;
		server.sent = 0;
		server.bytes[places[i]] ^= 0x55;
		assert_int_equal(fill_revalidate(version, clock_ns(), 8, &now), 0);
		assert_ptr_not_equal(now, version);
		assert_same(now);
		assert_int_equal(server.requests, 1); /* it streams on from the difference */
		assert_int_equal(server.sent, server.size);
		assert_int_equal(version_read(version, places[i], &old, 1), 1);
		assert_int_equal(old, server.bytes[places[i]] ^ 0x55);
		version_put(now);
		version_put(version);
	}
}

static void a_file_that_grew_or_shrank_has_changed(void **state)
{
	static const uint64_t sizes[] = {
		PAGES(200) + 10, PAGES(200) + 8, PAGES(201), PAGES(100), 1, 0
	};

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		struct version *version = new_version(), *now;
		uint64_t old;

		server.tells_size = i % 2;
		serve(PAGES(200) + 9, 1);
		assert_same(version);
		serve(sizes[i / 2], 1);
		assert_int_equal(fill_revalidate(version, clock_ns(), 8, &now), 0);
		assert_ptr_not_equal(now, version);
		assert_same(now);
		assert_int_equal(version_size(version, &old), 0);
		assert_int_equal(old, PAGES(200) + 9);
		version_put(now);
		version_put(version);
	}
}

static void a_file_that_is_gone_says_so_and_the_version_lives(void **state)
{
	struct version *version = new_version(), *now;

	serve(PAGES(20), 1);
	assert_same(version);
	server.exists = false;
	assert_int_equal(fill_revalidate(version, clock_ns(), 8, &now), -ENOENT);
	assert_same(version);
	version_put(version);
}

static void an_answer_younger_than_the_question_is_shared(void **state)
{
	struct version *version = new_version(), *now;
	uint64_t began = clock_ns();

	serve(PAGES(20), 1);
	assert_same(version);
	assert_int_equal(fill_revalidate(version, began, 8, &now), 0);
	assert_ptr_equal(now, version);
	assert_int_equal(server.requests, 1);
	version_put(now);
	version_put(version);
}

static void a_failed_comparison_leaves_all_as_it_was(void **state)
{
	struct version *version = new_version(), *now;

	serve(PAGES(200), 1);
	assert_same(version);
	server.fails_at = PAGES(100);
	server.failure = -ETIMEDOUT;
	assert_int_equal(fill_revalidate(version, clock_ns(), 8, &now), -ETIMEDOUT);
	assert_int_equal(version->failures, 0);
	assert_null(version->driver);
	assert_null(version->fill);
	assert_same(version);
	version_put(version);
}

/* Without a size from the server, only the end of the transfer tells the two from each other. */
static void zeroes_at_the_end_are_told_from_no_bytes(void **state)
{
	static const uint64_t sizes[] = { PAGES(3) + 900, PAGES(3) + 400, PAGES(4), PAGES(3) + 1 };
	static uint8_t out[PAGES(5)];

	for (unsigned i = 0; i + 1 < ARRAY_SIZE(sizes); i++) {
		struct version *version = new_version(), *now;

		serve(sizes[i], 1);
		server.tells_size = false;
		memset(server.bytes + PAGES(3), 0, PAGES(1));
		assert_int_equal(version_require(version, UINT64_MAX), 0);
		server.size = sizes[i + 1];
		assert_int_equal(fill_revalidate(version, clock_ns(), 8, &now), 0);
		assert_ptr_not_equal(now, version);
		assert_int_equal(version_read(now, 0, out, sizeof(out)), sizes[i + 1]);
		version_put(now);
		version_put(version);
	}
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static void every_allocation_may_fail(void **state)
{
	unsigned failures = 0;

	for (unsigned nth = 1;; nth++) {
		struct version *version = new_version(), *now = NULL;
		int error;

		serve(PAGES(100), 1);
		inject_failure(nth);
		error = version_require(version, UINT64_MAX);
		if (error == 0) {
			server.bytes[PAGES(60)] ^= 1;
			error = fill_revalidate(version, clock_ns(), 8, &now);
		}
		inject_failure(0);
		assert_true(error == 0 || error == -ENOMEM);
		failures += error != 0;
		if (now != NULL) {
			assert_same(now);
			version_put(now);
		}
		version_put(version);
		assert_int_equal(transfers_open, 0);
		if (error == 0 && nth > 1000)
			break;
	}
	assert_true(failures > 0);
}

/* A new version for which there is no memory must not leave its transfer to the old one. */
static void another_files_transfer_is_never_gone_on_with(void **state)
{
	unsigned failures = 0;
	int error = -ENOMEM;

	for (unsigned nth = 1; error != 0; nth++) {
		struct version *version = new_version(), *now = NULL;

		serve(PAGES(600), 1);
		assert_int_equal(version_require(version, PAGES(20)), 0);
		fill_stop(version);
		server.bytes[PAGES(9)] ^= 1;
		inject_failure(nth);
		error = fill_revalidate(version, clock_ns(), 8, &now);
		inject_failure(0);
		if (error == 0) {
			version_put(now);
		} else {
			failures++;
			assert_null(version->fill);
			assert_int_equal(version_require(version, PAGES(100)), -EIO);
		}
		version_put(version);
	}
	assert_true(failures > 0);
}

/* --- local files -------------------------------------------------------------------------------------------------- */

static ssize_t append(struct version *version, const char *text, size_t length, uint64_t *where)
{
	const struct iovec parts[] = { { (void *)text, 1 }, { (void *)(text + 1), length - 1 } };

	return version_append_user(version, parts, ARRAY_SIZE(parts), UINT64_MAX, where);
}

static void what_is_written_is_read_and_holes_are_zero(void **state)
{
	struct version *version = version_create_local(0);
	uint8_t out[6], zero[PAGE_SIZE] = { 0 }, page[PAGE_SIZE];
	uint64_t size, where;

	assert_int_equal(
		version_write_user(version, PAGES(3) - 2, (vaddr_t) "hello", 5, UINT64_MAX), 5);
	assert_int_equal(version_size(version, &size), 0);
	assert_int_equal(size, PAGES(3) + 3);
	assert_int_equal(version_read(version, PAGES(3) - 2, out, 6), 5);
	assert_memory_equal(out, "hello", 5);
	assert_int_equal(version_read(version, PAGE_SIZE, page, PAGE_SIZE), PAGE_SIZE);
	assert_memory_equal(page, zero, PAGE_SIZE);
	assert_int_equal(version->object.pages, 2);
	assert_int_equal(append(version, "!", 1, &where), 1);
	assert_int_equal(where, PAGES(3) + 3);
	assert_int_equal(version_resize(version, PAGES(3)), 0);
	assert_int_equal(version_read(version, PAGES(3) - 2, out, 6), 2);
	assert_int_equal(version_resize(version, PAGES(4)), 0);
	assert_int_equal(version_read(version, PAGES(3), page, PAGE_SIZE), PAGE_SIZE);
	assert_memory_equal(page, zero, PAGE_SIZE);
	version_put(version);
}

static void a_write_that_faults_shows_nothing(void **state)
{
	static const uint8_t zeroes[20];
	struct version *version = version_create_local(0);
	uint64_t size, where;
	uint8_t out[20];

	for (unsigned append_too = 0; append_too < 2; append_too++) {
		user_broken = true;
		assert_int_equal(append_too ? append(version, "abcd", 4, &where)
					    : version_write_user(version, 10, (vaddr_t) "abcd", 4,
								 UINT64_MAX),
				 -EFAULT);
		user_broken = false;
		assert_int_equal(version_size(version, &size), 0);
		assert_int_equal(size, 0);
		assert_int_equal(version_resize(version, sizeof(out)), 0);
		assert_int_equal(version_read(version, 0, out, sizeof(out)), sizeof(out));
		assert_memory_equal(out, zeroes, sizeof(out));
		assert_int_equal(version_resize(version, 0), 0);
	}
	version_put(version);
}

static void who_writes_and_who_runs_exclude_each_other(void **state)
{
	struct version *version = version_create_local(0);

	assert_int_equal(version_deny_write(version), 0);
	assert_int_equal(version_deny_write(version), 0);
	assert_int_equal(version_begin_write(version), -ETXTBSY);
	version_allow_write(version);
	version_allow_write(version);
	assert_int_equal(version_begin_write(version), 0);
	assert_int_equal(version_deny_write(version), -ETXTBSY);
	version_end_write(version);
	version_put(version);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_of_every_size_come_whole, begin, end),
		cmocka_unit_test_setup_teardown(what_is_behind_the_end_of_the_last_page_is_zero,
						begin, end),
		cmocka_unit_test_setup_teardown(a_prefix_costs_little_more_than_itself, begin, end),
		cmocka_unit_test_setup_teardown(a_stopped_transfer_starts_again_and_compares, begin,
						end),
		cmocka_unit_test_setup_teardown(a_short_rest_is_let_run, begin, end),
		cmocka_unit_test_setup_teardown(the_rest_of_another_file_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(a_file_of_another_size_is_another_file, begin, end),
		cmocka_unit_test_setup_teardown(a_failure_fails_who_waits_and_the_next_starts_anew,
						begin, end),
		cmocka_unit_test_setup_teardown(an_announced_size_and_nothing_is_a_directory, begin,
						end),
		cmocka_unit_test_setup_teardown(a_killed_driver_leaves_the_transfer_to_the_next,
						begin, end),
		cmocka_unit_test_setup_teardown(only_one_drives, begin, end),
		cmocka_unit_test_setup_teardown(few_transfers_are_kept_waiting, begin, end),
		cmocka_unit_test_setup_teardown(a_transfer_kept_too_long_is_not_gone_on_with, begin,
						end),
		cmocka_unit_test_setup_teardown(an_unchanged_file_keeps_its_version, begin, end),
		cmocka_unit_test_setup_teardown(a_changed_file_gets_a_new_version_and_the_old_stays,
						begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_grew_or_shrank_has_changed, begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_is_gone_says_so_and_the_version_lives,
						begin, end),
		cmocka_unit_test_setup_teardown(an_answer_younger_than_the_question_is_shared,
						begin, end),
		cmocka_unit_test_setup_teardown(a_failed_comparison_leaves_all_as_it_was, begin,
						end),
		cmocka_unit_test_setup_teardown(zeroes_at_the_end_are_told_from_no_bytes, begin,
						end),
		cmocka_unit_test_setup_teardown(every_allocation_may_fail, begin, end),
		cmocka_unit_test_setup_teardown(another_files_transfer_is_never_gone_on_with, begin,
						end),
		cmocka_unit_test_setup_teardown(what_is_written_is_read_and_holes_are_zero, begin,
						end),
		cmocka_unit_test_setup_teardown(a_write_that_faults_shows_nothing, begin, end),
		cmocka_unit_test_setup_teardown(who_writes_and_who_runs_exclude_each_other, begin,
						end),
	};

	world_init();
	origin = calloc(1, sizeof(*origin) + 8);
	origin->refs = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
