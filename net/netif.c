/*
 * net/netif.c - between the cards' drivers and lwIP.
 *
 * Frames that are sent while the network thread works through what was received are shown to the
 * card all at once, when it is through: telling the card is what costs most. Anybody else's go at
 * once.
 */
#include "net/netif.h"

#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/random.h"
#include "kernel/string.h"
#include "lwip/etharp.h"
#include "net/internal.h"
#include "netif/ethernet.h"

static struct nic *nics; /* net_lock; in the order of registration, only ever longer */
static bool batching;    /* net_lock: the network thread will flush */

struct nic *nic_first(void)
{
	return nics;
}

static err_t output(struct netif *netif, struct pbuf *frame)
{
	struct nic *nic = netif->state;
	int error = nic->ops->send(nic, frame);
	if (error != 0) {
		nic->stats.tx_dropped++;
		return error == -EMSGSIZE ? ERR_BUF : ERR_MEM;
	}
	nic->stats.tx_packets++;
	nic->stats.tx_bytes += frame->tot_len;
	if (batching)
		nic->flush_wanted = true;
	else
		nic->ops->flush(nic);
	return ERR_OK;
}

static err_t netif_init_nic(struct netif *netif)
{
	struct nic *nic = netif->state;

	netif->name[0] = 'e';
	netif->name[1] = 't';
	netif->mtu = nic->mtu;
	netif->hwaddr_len = sizeof(nic->mac);
	memcpy(netif->hwaddr, nic->mac, sizeof(nic->mac));
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = etharp_output;
	netif->linkoutput = output;
	if (nic->fills_checksums)
		netif->chksum_flags &= ~(NETIF_CHECKSUM_GEN_UDP | NETIF_CHECKSUM_GEN_TCP);
	return ERR_OK;
}

void nic_register(struct nic *nic)
{
	mutex_lock(&net_lock);
	struct nic **link = &nics;
	unsigned number = 0;
	for (; *link != NULL; link = &(*link)->next)
		number++;
	snprintf(nic->name, sizeof(nic->name), "eth%u", number);
	netif_add_noaddr(&nic->lwip, nic, netif_init_nic, ethernet_input);
	netif_set_up(&nic->lwip);
	bool up = nic->ops->link_up(nic);
	if (up)
		netif_set_link_up(&nic->lwip);
	*link = nic;
	mutex_unlock(&net_lock);
	log_info("%s: %s, %02x:%02x:%02x:%02x:%02x:%02x%s", nic->name, nic->driver, nic->mac[0],
		 nic->mac[1], nic->mac[2], nic->mac[3], nic->mac[4], nic->mac[5],
		 up ? "" : ", no link");
}

void nic_input(struct nic *nic, struct pbuf *frame, bool checked)
{
	const uint16_t what = NETIF_CHECKSUM_CHECK_UDP | NETIF_CHECKSUM_CHECK_TCP;

	nic->stats.rx_packets++;
	nic->stats.rx_bytes += frame->tot_len;
	if (checked)
		nic->lwip.chksum_flags &= ~what;
	else
		nic->lwip.chksum_flags |= what;
	if (nic->lwip.input(frame, &nic->lwip) != ERR_OK) {
		nic->stats.rx_dropped++;
		pbuf_free(frame);
	}
}

void nic_dropped(struct nic *nic)
{
	nic->stats.rx_dropped++;
}

void nic_interrupt(struct nic *nic)
{
	random_stir(clock_ns());
	net_kick();
}

void nic_link_changed(struct nic *nic)
{
	nic->link_changed = true;
	net_kick();
}

static void update_link(struct nic *nic)
{
	bool up = nic->ops->link_up(nic);
	if (up == (bool)netif_is_link_up(&nic->lwip))
		return;
	log_info("%s: link is %s", nic->name, up ? "up" : "down");
	if (up)
		netif_set_link_up(&nic->lwip);
	else
		netif_set_link_down(&nic->lwip);
}

static void flush_all(void)
{
	for (struct nic *nic = nics; nic != NULL; nic = nic->next) {
		if (nic->flush_wanted) {
			nic->flush_wanted = false;
			nic->ops->flush(nic);
		}
	}
}

unsigned nics_serve(unsigned budget, void (*timers)(void))
{
	unsigned count = 0;

	batching = true;
	for (struct nic *nic = nics; nic != NULL; nic = nic->next) {
		if (atomic_exchange(&nic->link_changed, false))
			update_link(nic);
		count += nic->ops->poll(nic, budget);
	}
	flush_all();
	timers();
	flush_all();
	batching = false;
	return count;
}

bool nics_pending(void)
{
	for (struct nic *nic = nics; nic != NULL; nic = nic->next) {
		if (nic->ops->pending(nic) || nic->link_changed)
			return true;
	}
	return false;
}

void nics_set_interrupts(bool on)
{
	for (struct nic *nic = nics; nic != NULL; nic = nic->next)
		nic->ops->set_interrupts(nic, on);
}

void net_get_stats(struct net_stats *out)
{
	*out = (struct net_stats){ 0 };
	mutex_lock(&net_lock);
	for (struct nic *nic = nics; nic != NULL; nic = nic->next) {
		out->rx_packets += nic->stats.rx_packets;
		out->rx_bytes += nic->stats.rx_bytes;
		out->rx_dropped += nic->stats.rx_dropped;
		out->tx_packets += nic->stats.tx_packets;
		out->tx_bytes += nic->stats.tx_bytes;
		out->tx_dropped += nic->stats.tx_dropped;
	}
	mutex_unlock(&net_lock);
}

unsigned net_get_neighbours(struct net_neighbour *out, unsigned room)
{
	struct eth_addr *mac;
	struct netif *netif;
	ip4_addr_t *address;
	unsigned count = 0;

	mutex_lock(&net_lock);
	for (size_t i = 0; i < ARP_TABLE_SIZE && count < room; i++) {
		if (!etharp_get_entry(i, &address, &netif, &mac))
			continue;
		out[count].address = address->addr;
		memcpy(out[count].mac, mac->addr, sizeof(out[count].mac));
		count++;
	}
	mutex_unlock(&net_lock);
	return count;
}
