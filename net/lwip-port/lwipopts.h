/*
 * net/lwip-port/lwipopts.h - how lwIP is built here (opt.h tells what each option means).
 *
 * No threads of its own, the raw API only, everything under net_lock; memory from pools and one heap
 * of fixed size, all in the kernel's BSS. A packet costs no allocation from the kernel: received
 * ones are in the card's buffers, sent ones come from the heap below.
 */
#ifndef HAWSER_LWIPOPTS_H
#define HAWSER_LWIPOPTS_H

/* --- structure ---------------------------------------------------------------------------- */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0 /* net_lock is the protection */
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_STATS           0
#define LWIP_HOOK_FILENAME   "lwip_hooks.h"
void lwip_assert_locked(void);
#define LWIP_ASSERT_CORE_LOCKED() lwip_assert_locked()

/* --- protocols ---------------------------------------------------------------------------- */
#define LWIP_IPV4                  1
#define LWIP_IPV6                  0
#define LWIP_ICMP                  1
#define LWIP_RAW                   0
#define LWIP_UDP                   1
#define LWIP_TCP                   0
#define LWIP_DNS                   1
#define LWIP_DHCP                  1
#define LWIP_IGMP                  0
#define LWIP_ARP                   1

#define IP_FORWARD                 0
#define LWIP_BROADCAST_PING        0
#define LWIP_NETIF_HOSTNAME        1 /* sent with DHCP */
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_SINGLE_NETIF          0
#define LWIP_NETIF_TX_SINGLE_PBUF  0

/* DHCP: the server is believed, for an ARP check takes seconds; siaddr is where the files are. */
#define DHCP_DOES_ARP_CHECK       0
#define LWIP_DHCP_BOOTP_FILE      1
#define LWIP_DHCP_MAX_DNS_SERVERS 2
#define DNS_MAX_SERVERS           2
/* Room for the longest hostname behind the options of a request (68 is the least). */
#define DHCP_OPTIONS_LEN 192

/* ARP: one packet waits for each unresolved neighbour, which is all that a request needs. */
#define ARP_QUEUEING        0
#define ARP_TABLE_SIZE      16
#define ETHARP_TRUST_IP_MAC 0

/* Cards that check and fill in checksums say so, each for itself. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY        0

/* --- memory --------------------------------------------------------------------------------
 *
 * What is in flight at once: for each of eight TFTP transfers a request (under 600 bytes, and perhaps
 * one more that waits for ARP), one DHCP message (under 500) and the largest echo reply (1,514); an
 * acknowledgement lives only while it is handed to the card. 16 KiB hold twice that.
 */
#define MEM_LIBC_MALLOC  0
#define MEMP_MEM_MALLOC  0
#define MEM_ALIGNMENT    8
#define MEM_SIZE         (16 * 1024)
#define MEMP_NUM_PBUF    32 /* PBUF_REF and PBUF_ROM */
#define PBUF_POOL_SIZE   0  /* what is received is in the card's buffers */
#define MEMP_NUM_UDP_PCB 20 /* 8 transfers, DHCP, DNS and its queries, and as many to spare */

/* Reassembly keeps buffers of the card: at most this many, for at most 15 s. */
#define IP_REASSEMBLY      1
#define IP_REASS_MAX_PBUFS 24
#define MEMP_NUM_REASSDATA 4
#define IP_FRAG            1

/* lwIP's own timers, one for each transfer, and the network's own. */
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 12)

#endif
