/*
 * proc/procfs_net.c - /proc/net: the card, the routes, and tables that have no lines.
 */
#include "fs/socket.h"
#include "fs/synthetic.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "net/net.h"
#include "proc/procfs.h"

/* Of <linux/route.h>, which cannot be had without a libc's headers. */
#define RTF_UP      0x1
#define RTF_GATEWAY 0x2

/* Linux's columns, of which the cards count packets, bytes and what was dropped. */
static int generate_net_dev(struct text *text, uint32_t number)
{
	struct net_config config;
	struct net_stats stats;

	net_get_config(&config);
	net_get_stats(&stats);
	text_printf(text,
		    "Inter-|   Receive                                                |  Transmit\n"
		    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		    "packets errs drop fifo colls carrier compressed\n");
	if (config.interface[0])
		text_printf(
			text,
			"%6s: %7lu %7lu    0 %4lu    0     0          0         0 %8lu %7lu    0 "
			"%4lu    0     0       0          0\n",
			config.interface, stats.rx_bytes, stats.rx_packets, stats.rx_dropped,
			stats.tx_bytes, stats.tx_packets, stats.tx_dropped);
	return 0;
}

/* Addresses are printed as the numbers that their bytes make in memory; ip route and route(8) know. */
static void put_route(struct text *text, const struct net_config *config, uint32_t to,
		      uint32_t gateway, uint32_t mask)
{
	text_printf(text, "%s\t%08X\t%08X\t%04X\t0\t0\t0\t%08X\t0\t0\t0\n", config->interface, to,
		    gateway, RTF_UP | (gateway != 0 ? RTF_GATEWAY : 0), mask);
}

static int generate_route(struct text *text, uint32_t number)
{
	struct net_config config;

	net_get_config(&config);
	text_printf(text, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU"
			  "\tWindow\tIRTT\n");
	if (config.address == 0)
		return 0;
	if (config.gateway != 0)
		put_route(text, &config, 0, config.gateway, 0);
	put_route(text, &config, config.address & config.netmask, 0, config.netmask);
	return 0;
}

/* Ethernet, and complete: ARPHRD_ETHER of <linux/if_arp.h>, ATF_COM, which only libcs may include. */
#define HARDWARE_ETHERNET 0x1
#define ENTRY_COMPLETE    0x2
#define NEIGHBOURS_MAX    32

static int generate_arp(struct text *text, uint32_t number)
{
	struct net_neighbour neighbours[NEIGHBOURS_MAX];
	unsigned count = net_get_neighbours(neighbours, NEIGHBOURS_MAX);
	struct net_config config;

	net_get_config(&config);
	text_printf(text, "IP address       HW type     Flags       HW address            Mask     "
			  "Device\n");
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *mac = neighbours[i].mac;
		uint8_t ip[4];
		char address[16];

		memcpy(ip, &neighbours[i].address, sizeof(ip));
		(void)snprintf(address, sizeof(address), "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
		text_printf(text,
			    "%-16s 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        %s\n",
			    address, HARDWARE_ETHERNET, ENTRY_COMPLETE, mac[0], mac[1], mac[2],
			    mac[3], mac[4], mac[5], config.interface);
	}
	return 0;
}

static int generate_sockets(struct text *text, uint32_t number)
{
	text_printf(text,
		    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
		    "   uid  timeout inode\n");
	return 0;
}

static int generate_unix(struct text *text, uint32_t number)
{
	unix_describe(text);
	return 0;
}

static int generate_nothing(struct text *text, uint32_t number)
{
	return 0;
}

void procfs_init_net(void)
{
	static const struct synthetic files[] = {
		{ .path = "net/dev", .generate = generate_net_dev },
		{ .path = "net/route", .generate = generate_route },
		{ .path = "net/arp", .generate = generate_arp },
		{ .path = "net/tcp", .generate = generate_sockets },
		{ .path = "net/udp", .generate = generate_sockets },
		{ .path = "net/raw", .generate = generate_sockets },
		{ .path = "net/unix", .generate = generate_unix },
		{ .path = "net/if_inet6", .generate = generate_nothing },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (synthetic_register(&files[i]) != 0)
			panic("no memory for /proc/%s", files[i].path);
	}
}
