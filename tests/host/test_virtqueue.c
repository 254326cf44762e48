/*
 * test_virtqueue.c - the driver's side of a virtqueue against a device that may lie.
 *
 * The ring is ordinary memory here, so the test is the device: it reads descriptors from the
 * available ring and writes what it likes into the used ring. Whatever that is, the driver must not
 * leave the ring's memory (the sanitizers watch), not give one buffer to two owners, and come to an
 * end.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/virtqueue.h"

#define SIZE 8

static struct virtqueue queue;
static void *memory;
static struct virtqueue_slot *slots;
static uint16_t device_seen; /* of the available ring */

static int setup(void **state)
{
	size_t bytes = virtqueue_ring_bytes(SIZE);

	memory = aligned_alloc(VIRTQUEUE_ALIGN, (bytes + VIRTQUEUE_ALIGN - 1) & -VIRTQUEUE_ALIGN);
	slots = calloc(SIZE, sizeof(*slots));
	memset(memory, 0, bytes);
	virtqueue_init(&queue, SIZE, memory, slots);
	device_seen = 0;
	return 0;
}

static int teardown(void **state)
{
	free(memory);
	free(slots);
	return 0;
}

/* The device takes the next available chain; its head. */
static uint16_t device_next(void)
{
	assert_int_not_equal(device_seen, queue.ring.avail->idx);
	return queue.ring.avail->ring[device_seen++ % SIZE];
}

static void device_done(uint32_t id, uint32_t length)
{
	uint16_t at = queue.ring.used->idx;

	queue.ring.used->ring[at % SIZE].id = id;
	queue.ring.used->ring[at % SIZE].len = length;
	queue.ring.used->idx = at + 1;
}

static void add(unsigned to_device, unsigned from_device, uint16_t token)
{
	struct virtqueue_segment segments[SIZE];

	for (unsigned i = 0; i < to_device + from_device; i++)
		segments[i] = (struct virtqueue_segment){ 0x1000 * (token + 1) + i, 100 };
	assert_int_equal(virtqueue_add(&queue, segments, to_device, from_device, token), 0);
}

static void expect(uint16_t token, uint32_t length)
{
	uint16_t got_token;
	uint32_t got_length;

	assert_true(virtqueue_take(&queue, &got_token, &got_length));
	assert_int_equal(got_token, token);
	assert_int_equal(got_length, length);
}

static void expect_nothing(void)
{
	uint16_t token;
	uint32_t length;

	assert_false(virtqueue_take(&queue, &token, &length));
}

static void a_chain_is_written_as_the_device_reads_it(void **state)
{
	add(1, 2, 5);
	assert_int_equal(queue.ring.avail->idx, 0);
	assert_true(virtqueue_publish(&queue));
	assert_false(virtqueue_publish(&queue));

	struct vring_desc *desc = &queue.ring.desc[device_next()];
	assert_int_equal(desc->addr, 0x6000);
	assert_int_equal(desc->len, 100);
	assert_int_equal(desc->flags, VRING_DESC_F_NEXT);
	desc = &queue.ring.desc[desc->next];
	assert_int_equal(desc->flags, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
	desc = &queue.ring.desc[desc->next];
	assert_int_equal(desc->addr, 0x6002);
	assert_int_equal(desc->flags, VRING_DESC_F_WRITE);
}

static void no_notification_where_the_device_wants_none(void **state)
{
	queue.ring.used->flags = VRING_USED_F_NO_NOTIFY;
	add(1, 0, 0);
	assert_false(virtqueue_publish(&queue));
	assert_int_equal(queue.ring.avail->idx, 1);
}

static void interrupts_are_off_until_asked_for(void **state)
{
	assert_int_equal(queue.ring.avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	virtqueue_set_interrupts(&queue, true);
	assert_int_equal(queue.ring.avail->flags, 0);
}

/* Chains of all lengths, done out of order, many times round the ring and the 16-bit indices. */
static void chains_come_back_in_any_order(void **state)
{
	uint32_t seed = 1;

	for (unsigned round = 0; round < 70000; round++) {
		uint16_t heads[SIZE], tokens[SIZE];
		unsigned chains = 0;
		for (unsigned left = SIZE; left > 0;) {
			seed = seed * 1664525 + 1013904223;
			unsigned length = 1 + (seed >> 16) % (left < 3 ? left : 3);
			add(length / 2, length - length / 2, chains);
			left -= length;
			chains++;
		}
		struct virtqueue_segment one = { 0, 1 };
		assert_int_equal(virtqueue_add(&queue, &one, 1, 0, 0), -ENOSPC);
		virtqueue_publish(&queue);
		for (unsigned i = 0; i < chains; i++) {
			heads[i] = device_next();
			tokens[i] = i;
		}
		for (unsigned i = 0; i < chains; i++) {
			unsigned other = (seed >> 8) % chains;
			uint16_t head = heads[i], token = tokens[i];
			heads[i] = heads[other], tokens[i] = tokens[other];
			heads[other] = head, tokens[other] = token;
			seed = seed * 1664525 + 1013904223;
		}
		for (unsigned i = 0; i < chains; i++)
			device_done(heads[i], 7);
		for (unsigned i = 0; i < chains; i++)
			expect(tokens[i], 7);
		expect_nothing();
		assert_int_equal(queue.free_count, SIZE);
	}
	assert_int_equal(queue.bad, 0);
	assert_false(queue.broken);
}

static void an_id_outside_the_ring_is_passed_over(void **state)
{
	add(0, 1, 1);
	add(0, 1, 2);
	virtqueue_publish(&queue);
	device_done(UINT32_MAX, 10);
	device_done(device_next(), 10);
	expect(1, 10);
	expect_nothing();
	assert_int_equal(queue.bad, 1);
	assert_int_equal(queue.outstanding, 1);
}

static void an_id_that_is_no_chain_is_passed_over(void **state)
{
	add(0, 3, 1);
	add(0, 1, 2);
	virtqueue_publish(&queue);
	uint16_t head = device_next();
	device_done(queue.ring.desc[head].next, 10); /* the middle of a chain */
	device_done(head, 10);
	expect(1, 10);
	assert_int_equal(queue.bad, 1);
}

static void a_chain_done_twice_is_given_back_once(void **state)
{
	add(0, 1, 1);
	add(0, 1, 2);
	virtqueue_publish(&queue);
	uint16_t head = device_next();
	device_done(head, 10);
	device_done(head, 10);
	expect(1, 10);
	expect_nothing();
	assert_int_equal(queue.bad, 1);
	assert_int_equal(queue.free_count, SIZE - 1);
}

static void a_length_beyond_the_buffers_reads_as_zero(void **state)
{
	add(1, 2, 1);
	virtqueue_publish(&queue);
	device_done(device_next(), 201);
	expect(1, 0);
	add(1, 2, 1);
	virtqueue_publish(&queue);
	device_done(device_next(), 200);
	expect(1, 200);
	assert_int_equal(queue.bad, 1);
}

static void links_that_the_device_has_rewritten_are_not_followed(void **state)
{
	add(0, 3, 1);
	virtqueue_publish(&queue);
	uint16_t head = device_next();
	for (unsigned i = 0; i < SIZE; i++)
		queue.ring.desc[i] = (struct vring_desc){ ~0ull, ~0u, VRING_DESC_F_NEXT, 0xffff };
	device_done(head, 300);
	expect(1, 300);
	assert_int_equal(queue.free_count, SIZE);
	add(0, SIZE, 2);
}

static void an_index_that_runs_ahead_ends_the_queue(void **state)
{
	add(0, 1, 1);
	virtqueue_publish(&queue);
	queue.ring.used->idx = 2;
	assert_true(virtqueue_pending(&queue));
	expect_nothing();
	assert_true(queue.broken);
	assert_false(virtqueue_pending(&queue));
	queue.ring.used->idx = 1;
	expect_nothing();
}

static void an_index_that_runs_back_ends_the_queue(void **state)
{
	add(0, 1, 1);
	virtqueue_publish(&queue);
	queue.ring.used->idx = 0xffff;
	expect_nothing();
	assert_true(queue.broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_chain_is_written_as_the_device_reads_it),
		TEST(no_notification_where_the_device_wants_none),
		TEST(interrupts_are_off_until_asked_for),
		TEST(chains_come_back_in_any_order),
		TEST(an_id_outside_the_ring_is_passed_over),
		TEST(an_id_that_is_no_chain_is_passed_over),
		TEST(a_chain_done_twice_is_given_back_once),
		TEST(a_length_beyond_the_buffers_reads_as_zero),
		TEST(links_that_the_device_has_rewritten_are_not_followed),
		TEST(an_index_that_runs_ahead_ends_the_queue),
		TEST(an_index_that_runs_back_ends_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
