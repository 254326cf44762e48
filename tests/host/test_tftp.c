/*
 * tests/host/test_tftp.c - the TFTP client's state machine against servers good and bad.
 */
#include "tests/host/tftp_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define US     UINT64_C(1000)

/* An ordinary request on a clean gigabit network. */
#define WORLD(...)                                         \
	{                                                  \
		.blksize = 1468, .window = 64, __VA_ARGS__ \
	}

static void expect_done(struct world *world)
{
	char why[128];

	tftp_proto_explain(&world->client, why, sizeof(why));
	if (world->client.state != TFTP_DONE)
		print_error("kind %d size %llu seed %llu: state %d: %s\n", world->kind,
			    (unsigned long long)world->file_size, (unsigned long long)world->seed,
			    world->client.state, why);
	assert_int_equal(world->client.state, TFTP_DONE);
	assert_int_equal(world->client.received, world->file_size);
	assert_int_equal(world->client.size, world->file_size);
	world_end(world);
	assert_false(world->wrong_bytes);
	assert_false(world->beyond_supply);
}

static void expect_failure(struct world *world, int status, enum tftp_reason reason)
{
	assert_int_equal(world->client.state, TFTP_FAILED);
	assert_int_equal(world->client.status, status);
	assert_int_equal(world->client.reason, reason);
	assert_true(world->client.deadline == TFTP_NO_DEADLINE);
	assert_false(world->beyond_supply);
	world_end(world);
}

static void run(struct world *world)
{
	world_begin(world);
	(void)world_run(world, 600 * SECOND);
}

/* --- files of every size, from every kind of server ------------------------------------------- */

static void test_any_size_from_any_server_comes_whole(void **state)
{
	static const uint64_t sizes[] = { 0,    1,    511,  512,  513,       1467,  1468,
					  1469, 2936, 4096, 8192, 64 * 1468, 65537, 300000 };
	size_t i;
	int kind;

	for (kind = SERVER_WINDOWED; kind <= SERVER_QEMU; kind++) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct world world = WORLD(.kind = kind, .file_size = sizes[i]);

			run(&world);
			expect_done(&world);
		}
	}
}

static void test_a_size_that_is_not_announced_is_found_by_the_short_block(void **state)
{
	static const uint64_t sizes[] = { 0, 100, 1468, 1468 * 64, 1468 * 64 + 1, 200000 };
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct world world = WORLD(.file_size = sizes[i], .without_tsize = true);

		run(&world);
		expect_done(&world);
	}
}

static void test_block_numbers_wrap_beyond_65535(void **state)
{
	struct world world = WORLD(.file_size = UINT64_C(70000) * 1468 + 5);
	struct world lockstep = WORLD(.kind = SERVER_LOCKSTEP, .max_blksize = 512, .delay = US,
				      .file_size = UINT64_C(66000) * 512);

	run(&world);
	expect_done(&world);
	run(&lockstep);
	expect_done(&lockstep);
}

static void test_a_refusing_server_is_asked_without_options(void **state)
{
	struct world world = WORLD(.kind = SERVER_REFUSING, .file_size = 5000);

	run(&world);
	assert_int_equal(world.requests_sent, 2);
	assert_string_equal(world.asked, "");
	assert_true(world.client.without_options);
	expect_done(&world);
}

/* What the stamp is fetched with. */
static void test_a_small_file_costs_one_packet_pair(void **state)
{
	for (enum server_kind kind = SERVER_WINDOWED; kind <= SERVER_QEMU; kind++) {
		struct world world = WORLD(.kind = kind, .file_size = 40, .plain = true);

		run(&world);
		assert_string_equal(world.asked, "");
		assert_int_equal(world.requests_sent, 1);
		assert_int_equal(world.blocks_sent, 1);
		assert_int_equal(world.acks_sent, 1);
		expect_done(&world);
	}
}

/* A clean network costs what the protocol costs: one request, one acknowledgement per window. */
static void test_nothing_is_sent_twice_on_a_clean_network(void **state)
{
	struct world world = WORLD(.file_size = 640 * 1468 - 1);
	struct world lockstep = WORLD(.kind = SERVER_LOCKSTEP, .file_size = 640 * 1468 - 1);
	struct world qemu = WORLD(.kind = SERVER_QEMU, .file_size = 640 * 1428 - 1);

	run(&world);
	assert_int_equal(world.requests_sent, 1);
	assert_int_equal(world.blocks_sent, 640);
	assert_int_equal(world.acks_sent, 1 + 10);
	expect_done(&world);
	run(&lockstep);
	assert_int_equal(lockstep.blocks_sent, 640);
	assert_int_equal(lockstep.acks_sent, 1 + 640);
	expect_done(&lockstep);
	run(&qemu);
	assert_int_equal(qemu.requests_sent, 1);
	assert_int_equal(qemu.blocks_sent, 640);
	assert_int_equal(qemu.acks_sent, 1 + 640);
	expect_done(&qemu);
}

/* --- bad networks ----------------------------------------------------------------------------- */

static void test_loss_duplication_and_reordering_do_no_harm(void **state)
{
	static const struct {
		unsigned loss, duplicate, reorder;
	} rates[] = { { 50, 0, 0 }, { 0, 100, 0 }, { 0, 0, 200 }, { 50, 50, 50 }, { 100, 20, 20 } };
	uint64_t seed;
	int kind;

	for (kind = SERVER_WINDOWED; kind <= SERVER_REFUSING; kind++) {
		for (seed = 1; seed <= 150; seed++) {
			size_t i = seed % (sizeof(rates) / sizeof(rates[0]));
			struct world world =
				WORLD(.kind = kind, .loss = rates[i].loss,
				      .duplicate = rates[i].duplicate, .reorder = rates[i].reorder,
				      .seed = seed * 7919);
			world.file_size =
				kind == SERVER_WINDOWED ? 20000 + seed * 3000 : seed * 300;
			world.without_tsize = seed % 7 == 0;
			world.window = 1 + seed % 64;
			world.pause = seed % 5 == 0 ? 300 * US : 0;
			world.ahead = seed % 3 == 0 ? 26 : 0;
			run(&world);
			expect_done(&world);
		}
	}
}

/* Acknowledgements that beget blocks that beget acknowledgements (RFC 1123 4.2.3.1). */
static void test_losses_cost_little_and_duplicates_next_to_nothing(void **state)
{
	struct world lossy = WORLD(.file_size = 3000 * 1468, .loss = 50, .seed = 3);
	struct world twice = WORLD(.file_size = 3000 * 1468, .duplicate = 1000, .seed = 4);
	struct world mixed = WORLD(.file_size = 3000 * 1468, .loss = 20, .duplicate = 50,
				   .reorder = 50, .seed = 5);
	struct world shuffled = WORLD(.file_size = 3000 * 1468, .swap = true);

	run(&lossy);
	assert_in_range(lossy.blocks_sent, 3001, 3001 * 2);
	assert_in_range(lossy.now, 0, 5 * SECOND);
	expect_done(&lossy);
	run(&twice);
	assert_in_range(twice.blocks_sent, 3001, 3001 * 5 / 2); /* its duplicate ACKs count twice */
	expect_done(&twice);
	run(&mixed);
	assert_in_range(mixed.blocks_sent, 3001, 3001 * 3);
	expect_done(&mixed);
	run(&shuffled);
	assert_in_range(shuffled.blocks_sent, 3001, 3001 * 5 / 4);
	expect_done(&shuffled);
}

/* A block that comes again is not acknowledged again: the Sorcerer's Apprentice. */
static void test_a_duplicate_block_is_not_acknowledged_again(void **state)
{
	struct world world =
		WORLD(.kind = SERVER_LOCKSTEP, .file_size = 100000, .max_blksize = 512);
	uint8_t again[4 + 512] = { 0, TFTP_DATA, 0, 5 };
	uint64_t acks;
	unsigned i;

	world_begin(&world);
	assert_true(world_run_to(&world, 5 * 512, SECOND));
	acks = world.acks_sent;
	for (i = 0; i < 10; i++)
		world_inject(&world, SERVER_ADDRESS, world_server_port(&world), again,
			     sizeof(again));
	assert_int_equal(world.acks_sent, acks);
	(void)world_run(&world, 10 * SECOND);
	expect_done(&world);
}

/* The exception: nobody would send the last acknowledgement again otherwise. */
static void test_the_last_block_is_acknowledged_again(void **state)
{
	struct world world = WORLD(.kind = SERVER_LOCKSTEP, .file_size = 100);
	uint8_t again[4 + 100] = { 0, TFTP_DATA, 0, 1 };
	uint16_t port;
	uint64_t acks;

	world_begin(&world);
	assert_true(world_run_to(&world, 1, SECOND));
	port = world_server_port(&world);
	acks = world.acks_sent;
	world_inject(&world, SERVER_ADDRESS, port, again, sizeof(again));
	assert_int_equal(world.acks_sent, acks + 1);
	expect_done(&world);
}

/* QEMU's server takes any acknowledgement for the next one, and never repeats a block. */
static void test_qemu_gets_a_new_request_and_never_an_acknowledgement_twice(void **state)
{
	uint64_t seed;

	for (seed = 1; seed <= 200; seed++) {
		struct world world = WORLD(.kind = SERVER_QEMU, .file_size = 60000, .loss = 3,
					   .seed = seed * 104729);

		run(&world);
		assert_true(world.acks_sent <= world.requests_sent * 60);
		expect_done(&world);
	}
}

/* Some servers announce a directory's size and send nothing, some send an empty file. */
static void test_a_directory_is_an_error_whatever_the_server_makes_of_it(void **state)
{
	struct world empty = WORLD(.directory = true);
	struct world silent = WORLD(.kind = SERVER_QEMU, .file_size = 4096, .vanish_above = 40);
	struct world silent_too = WORLD(.file_size = 4096, .vanish_above = 60);

	run(&empty);
	expect_failure(&empty, -ENODATA, TFTP_WRONG_SIZE);
	run(&silent);
	assert_in_range(silent.now, 0, 2 * SECOND);
	expect_failure(&silent, -ENODATA, TFTP_SILENT);
	run(&silent_too);
	assert_in_range(silent_too.now, 0, 10 * SECOND);
	expect_failure(&silent_too, -ENODATA, TFTP_SILENT);
}

/* A path that holds 20 datagrams at a time. */
static void test_a_window_too_large_for_the_path_still_gets_through(void **state)
{
	struct world world = WORLD(.file_size = 1000000, .queue = 20);

	run(&world);
	assert_in_range(world.now, 0, 3 * SECOND);
	assert_true(world.client.holes > 0); /* what the next request's window is halved for */
	expect_done(&world);
}

/* Datagrams above some size vanish: a tunnel's MTU. */
static void test_blocks_that_vanish_are_asked_for_smaller(void **state)
{
	struct world tunnel = WORLD(.file_size = 50000, .vanish_above = 1450);
	struct world small =
		WORLD(.kind = SERVER_LOCKSTEP, .file_size = 50000, .vanish_above = 600);

	run(&tunnel);
	assert_int_equal(tunnel.client.blksize, 1428);
	assert_int_equal(tunnel.client.window, 64);
	expect_done(&tunnel);
	run(&small);
	assert_int_equal(small.client.blksize, 512);
	expect_done(&small);
}

/* Boot storms: servers cap the transfers that they have at a time. */
static void test_a_busy_server_is_asked_again_and_not_in_step_with_others(void **state)
{
	struct world one = WORLD(.file_size = 5000, .deaf_requests = 4, .seed = 1);
	struct world other = WORLD(.file_size = 5000, .deaf_requests = 4, .seed = 99);

	run(&one);
	run(&other);
	assert_int_equal(one.requests_sent, 5);
	assert_true(one.now > other.now + 1000 * US || other.now > one.now + 1000 * US);
	expect_done(&one);
	expect_done(&other);
}

static void test_a_dead_server_is_given_up(void **state)
{
	struct world world = WORLD(.file_size = 5000, .deaf_requests = 1000);
	char why[128];

	run(&world);
	assert_in_range(world.now, 5 * SECOND, 20 * SECOND);
	tftp_proto_explain(&world.client, why, sizeof(why));
	assert_string_equal(why, "timed out after 5 tries, last block 0");
	expect_failure(&world, -ETIMEDOUT, TFTP_TIMED_OUT);
}

static void test_a_server_that_dies_in_mid_transfer_is_given_up(void **state)
{
	struct world world = WORLD(.file_size = 500000);
	char why[128];

	world_begin(&world);
	assert_true(world_run_to(&world, 17 * 1468, SECOND));
	world.loss = 1000;
	world.deaf_requests = 1000;
	(void)world_run(&world, 60 * SECOND);
	tftp_proto_explain(&world.client, why, sizeof(why));
	assert_memory_equal(why, "timed out after 5 tries, last block ", 36);
	assert_in_range(world.now, 5 * SECOND, 20 * SECOND);
	expect_failure(&world, -ETIMEDOUT, TFTP_TIMED_OUT);
}

/* RFC 1350, section 4: a wrong port gets an error and the transfer goes on. */
static void test_a_stranger_is_told_off_and_changes_nothing(void **state)
{
	struct world world = WORLD(.file_size = 100000);
	uint8_t data[4 + 1468] = { 0, TFTP_DATA, 0, 6 }, error[8] = { 0, TFTP_ERROR, 0, 1, 'x' };
	uint16_t port;

	world_begin(&world);
	assert_true(world_run_to(&world, 5 * 1468, SECOND));
	port = world_server_port(&world);
	world_inject(&world, SERVER_ADDRESS, (uint16_t)(port + 1), data, sizeof(data));
	world_inject(&world, SERVER_ADDRESS + 1, port, data, sizeof(data));
	assert_int_equal(world.strangers_told, 2);
	world_inject(&world, SERVER_ADDRESS, (uint16_t)(port + 1), error, sizeof(error));
	assert_int_equal(world.strangers_told, 2); /* an error is never answered with one */
	(void)world_run(&world, 10 * SECOND);
	expect_done(&world);
}

/* RFC 2348: no more than was asked for; and everything else that an OACK should not be. */
static void test_an_oack_beyond_what_was_asked_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} oacks[] = {
#define OACK(text) { text, sizeof(text) - 1 }
		OACK("blksize\0"
		     "1469\0"),
		OACK("blksize\0"
		     "7\0"),
		OACK("blksize\0"
		     "0\0"),
		OACK("blksize\0"
		     "\0"),
		OACK("blksize\0"
		     "-1\0"),
		OACK("blksize\0"
		     "1468x\0"),
		OACK("blksize\0"
		     "1468"),
		OACK("blksize\0"),
		OACK("blksize"),
		OACK("windowsize\0"
		     "65\0"),
		OACK("windowsize\0"
		     "0\0"),
		OACK("timeout\0"
		     "9\0"),
		OACK("tsize\0"
		     "99999999999999999999\0"),
		OACK("tsize\0"
		     "-1\0"),
		OACK("multicast\0"
		     "224.0.0.1,1,1\0"),
		OACK("\0\0"),
		OACK("blksize\0"
		     "18446744073709553084\0"), /* 2^64 + 1468 */
	};
	size_t i;

	for (i = 0; i < sizeof(oacks) / sizeof(oacks[0]); i++) {
		struct world world = WORLD(.file_size = 3000, .oack = oacks[i].bytes,
					   .oack_length = oacks[i].length);

		run(&world);
		assert_int_equal(world.errors_sent, 1);
		assert_int_equal(world.requests_sent, 2);
		assert_string_equal(world.asked, "");
		expect_done(&world);
	}
}

static void test_option_names_are_read_in_any_case_and_order(void **state)
{
	struct world world = WORLD(.file_size = 3000,
				   .oack = "TSIZE\0"
					   "3000\0"
					   "BlkSize\0"
					   "1468\0",
				   .oack_length = 24);

	run(&world);
	assert_int_equal(world.requests_sent, 1);
	expect_done(&world);
}

/* --- sizes that are wrong --------------------------------------------------------------------- */

static void test_bytes_must_equal_the_announced_size(void **state)
{
	static const int64_t lies[] = { -1, 1, -1468, 1468, -2999, 100000 };
	size_t i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct world world = WORLD(.file_size = 3000, .lie = lies[i]);
		struct world large = WORLD(.file_size = 1468 * 100, .lie = lies[i]);

		run(&world);
		expect_failure(&world, -EIO, TFTP_WRONG_SIZE);
		run(&large);
		expect_failure(&large, -EIO, TFTP_WRONG_SIZE);
	}
}

static void test_a_block_longer_than_agreed_is_an_error(void **state)
{
	struct world world = WORLD(.file_size = 100000, .max_blksize = 512);
	uint8_t data[4 + 513] = { 0, TFTP_DATA, 0, 6 };

	world_begin(&world);
	assert_true(world_run_to(&world, 5 * 512, SECOND));
	data[3] = (uint8_t)(world.client.good + 1);
	world_inject(&world, SERVER_ADDRESS, world_server_port(&world), data, sizeof(data));
	expect_failure(&world, -EIO, TFTP_MALFORMED);
}

static void test_a_file_that_ends_twice_is_an_error(void **state)
{
	struct world world = WORLD(.file_size = 1000000, .without_tsize = true);
	uint8_t data[4 + 10] = { 0, TFTP_DATA, 0, 0 };

	world_begin(&world);
	assert_true(world_run_to(&world, 3 * 1468, SECOND));
	data[3] = (uint8_t)(world.client.good + 9);
	world_inject(&world, SERVER_ADDRESS, world_server_port(&world), data, sizeof(data));
	data[3] -= 2;
	world_inject(&world, SERVER_ADDRESS, world_server_port(&world), data, sizeof(data));
	expect_failure(&world, -EIO, TFTP_MALFORMED);
}

/* --- errors from the server ------------------------------------------------------------------- */

static void test_errors_of_the_server_become_errnos(void **state)
{
	static const struct {
		unsigned code;
		int status;
	} errors[] = { { 1, -ENOENT }, { 2, -EACCES }, { 3, -EIO }, { 4, -EIO },
		       { 7, -EACCES }, { 8, -EIO },    { 77, -EIO } };
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct world world = WORLD(.file_size = 3000, .error_code = errors[i].code);
		char why[128];

		run(&world);
		tftp_proto_explain(&world.client, why, sizeof(why));
		assert_non_null(strstr(why, "\"no.\"")); /* its newline does not reach the log */
		expect_failure(&world, errors[i].status, TFTP_REFUSED);
	}
}

/* --- memory ----------------------------------------------------------------------------------- */

static void test_the_acknowledgement_is_withheld_until_memory_is_supplied(void **state)
{
	struct world world = WORLD(.file_size = 500000, .ahead = 24, .pause = 3 * SECOND / 10);

	run(&world);
	expect_done(&world);

	/* Without a requester nothing moves, and nothing is sent or timed. */
	world = (struct world)WORLD(.file_size = 500000, .pause = 1000 * SECOND);
	world_begin(&world);
	(void)world_run(&world, SECOND);
	assert_int_equal(world.client.state, TFTP_RECEIVING);
	assert_int_equal(world.client.size, 500000);
	assert_int_equal(world.acks_sent, 0);
	assert_true(world.client.owed);
	assert_true(world.client.deadline == TFTP_NO_DEADLINE);
	world_end(&world);
}

static void test_the_first_block_without_options_waits_for_memory(void **state)
{
	struct world world = WORLD(.kind = SERVER_PLAIN, .file_size = 600, .pause = SECOND);

	run(&world);
	assert_in_range(world.blocks_sent, 2, 2);
	expect_done(&world);
}

static void test_a_slow_requester_outlives_the_servers_patience(void **state)
{
	struct world world = WORLD(.file_size = 300000, .ahead = 24, .pause = 20 * SECOND);

	run(&world);
	assert_true(world.requests_sent > 1);
	expect_done(&world);
}

/* --- taking a transfer up again --------------------------------------------------------------- */

static void test_a_server_that_forgets_is_asked_again_and_the_rest_is_taken(void **state)
{
	struct world windowed = WORLD(.file_size = 500000, .forget_at = 200);
	struct world lockstep =
		WORLD(.kind = SERVER_LOCKSTEP, .file_size = 500000, .forget_at = 200);
	struct world silent = WORLD(.file_size = 500000);

	run(&windowed);
	assert_int_equal(windowed.requests_sent, 2);
	assert_int_equal(windowed.client.window, 32);
	expect_done(&windowed);
	run(&lockstep);
	assert_int_equal(lockstep.requests_sent, 2);
	expect_done(&lockstep);

	world_begin(&silent);
	assert_true(world_run_to(&silent, 100000, SECOND));
	silent.loss = 1000; /* the server's machine restarts */
	assert_false(world_run(&silent, silent.now + 4 * SECOND));
	silent.loss = 0;
	silent.forget_at = 1;
	(void)world_run(&silent, 60 * SECOND);
	expect_done(&silent);
}

static void test_two_files_are_never_mixed(void **state)
{
	struct world changed = WORLD(.file_size = 500000, .change_at = 150, .forget_at = 200);
	struct world grown = WORLD(.file_size = 500000, .forget_at = 200);

	run(&changed);
	expect_failure(&changed, -EIO, TFTP_CHANGED);

	world_begin(&grown);
	assert_true(world_run_to(&grown, 150 * 1468, SECOND));
	grown.lie = 1;
	(void)world_run(&grown, 60 * SECOND);
	expect_failure(&grown, -EIO, TFTP_CHANGED);
}

static void test_a_server_that_never_gets_further_is_given_up(void **state)
{
	struct world world = WORLD(.file_size = 500000, .silent_after = 100);

	run(&world);
	assert_in_range(world.now, 0, 300 * SECOND);
	expect_failure(&world, -EIO, TFTP_GIVEN_UP);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void test_stopping_tells_the_server(void **state)
{
	struct world world = WORLD(.file_size = 500000);

	world_begin(&world);
	assert_true(world_run_to(&world, 100000, SECOND));
	tftp_proto_stop(&world.client);
	assert_int_equal(world.errors_sent, 1);
	world_settle(&world);
	assert_int_equal(world_server_port(&world), 0);
	expect_failure(&world, -EINTR, TFTP_STOPPED);
}

static void test_a_long_name_is_asked_for_with_fewer_options(void **state)
{
	char path[512];
	uint8_t packet[TFTP_REQUEST_MAX];
	struct tftp_options asked = { .blksize = 1468, .windowsize = 64, .timeout = 3 };

	memset(path, 'x', sizeof(path));
	path[480] = '\0';
	assert_in_range(tftp_compose_request(packet, path, &asked), 480, TFTP_REQUEST_MAX);
	assert_int_equal(asked.blksize, 1468);
	assert_int_equal(asked.windowsize, 0);
	path[480] = 'x';
	path[500] = '\0';
	asked = (struct tftp_options){ .blksize = 1468, .windowsize = 64, .timeout = 3 };
	assert_int_equal(tftp_compose_request(packet, path, &asked), 2 + 501 + 6);
	assert_int_equal(asked.blksize, 0);
	assert_int_equal(asked.size, -1);
	path[500] = 'x';
	path[505] = '\0';
	assert_int_equal(tftp_compose_request(packet, path, &asked), 0);
}

static void test_short_and_foreign_packets_are_ignored(void **state)
{
	struct world world = WORLD(.file_size = 100000);
	static const uint8_t packets[][4] = {
		{ 0, TFTP_RRQ, 0, 0 },  { 0, TFTP_ACK, 0, 1 },    { 0, 9, 0, 0 },
		{ 1, TFTP_DATA, 0, 1 }, { 0, TFTP_OACK, 'x', 0 }, { 0, TFTP_DATA, 0xff, 0xff },
	};
	size_t i, length;

	world_begin(&world);
	assert_true(world_run_to(&world, 5 * 1468, SECOND));
	for (i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		for (length = 0; length <= 4; length++)
			world_inject(&world, SERVER_ADDRESS, world_server_port(&world), packets[i],
				     length);
	}
	(void)world_run(&world, 10 * SECOND);
	expect_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_size_from_any_server_comes_whole),
		cmocka_unit_test(test_a_size_that_is_not_announced_is_found_by_the_short_block),
		cmocka_unit_test(test_block_numbers_wrap_beyond_65535),
		cmocka_unit_test(test_a_refusing_server_is_asked_without_options),
		cmocka_unit_test(test_a_small_file_costs_one_packet_pair),
		cmocka_unit_test(test_nothing_is_sent_twice_on_a_clean_network),
		cmocka_unit_test(test_loss_duplication_and_reordering_do_no_harm),
		cmocka_unit_test(test_losses_cost_little_and_duplicates_next_to_nothing),
		cmocka_unit_test(test_a_duplicate_block_is_not_acknowledged_again),
		cmocka_unit_test(test_the_last_block_is_acknowledged_again),
		cmocka_unit_test(test_qemu_gets_a_new_request_and_never_an_acknowledgement_twice),
		cmocka_unit_test(test_a_directory_is_an_error_whatever_the_server_makes_of_it),
		cmocka_unit_test(test_a_window_too_large_for_the_path_still_gets_through),
		cmocka_unit_test(test_blocks_that_vanish_are_asked_for_smaller),
		cmocka_unit_test(test_a_busy_server_is_asked_again_and_not_in_step_with_others),
		cmocka_unit_test(test_a_dead_server_is_given_up),
		cmocka_unit_test(test_a_server_that_dies_in_mid_transfer_is_given_up),
		cmocka_unit_test(test_a_stranger_is_told_off_and_changes_nothing),
		cmocka_unit_test(test_an_oack_beyond_what_was_asked_is_refused),
		cmocka_unit_test(test_option_names_are_read_in_any_case_and_order),
		cmocka_unit_test(test_bytes_must_equal_the_announced_size),
		cmocka_unit_test(test_a_block_longer_than_agreed_is_an_error),
		cmocka_unit_test(test_a_file_that_ends_twice_is_an_error),
		cmocka_unit_test(test_errors_of_the_server_become_errnos),
		cmocka_unit_test(test_the_acknowledgement_is_withheld_until_memory_is_supplied),
		cmocka_unit_test(test_the_first_block_without_options_waits_for_memory),
		cmocka_unit_test(test_a_slow_requester_outlives_the_servers_patience),
		cmocka_unit_test(test_a_server_that_forgets_is_asked_again_and_the_rest_is_taken),
		cmocka_unit_test(test_two_files_are_never_mixed),
		cmocka_unit_test(test_a_server_that_never_gets_further_is_given_up),
		cmocka_unit_test(test_stopping_tells_the_server),
		cmocka_unit_test(test_a_long_name_is_asked_for_with_fewer_options),
		cmocka_unit_test(test_short_and_foreign_packets_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
