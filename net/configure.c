/*
 * net/configure.c - where the machine's address comes from.
 *
 *	ip=ADDRESS:…:none   the hand-over of who booted us, or a person's wish: used as it is, at once
 *	ip=ADDRESS:…:dhcp   a lease that was handed over: used at once, and renewed in the background
 *	ip=dhcp, or no ip=  DHCP, on every card in parallel; the first that is given an address wins
 *	ip=off              no network
 *
 * BOOTIF=01-MAC (PXELINUX's word) or ip='s device field name the card; otherwise an address goes to
 * the first card that has a link. DHCP is retried for ever, by lwIP's clock (2, 4 … 32, then every
 * 60 s, and again as soon as a link comes up), for a lab's switch may take a minute to forward.
 */
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "lwip/dns.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "net/dhcp_options.h"
#include "net/internal.h"
#include "net/ip_param.h"
#include "net/lwip-port/dhcp.h"

/* While there is no address, the log says so this often. */
#define REPORT_FIRST_MS 10000
#define REPORT_AGAIN_MS 30000
/* A lease that was handed over is renewed when the first programs have been fetched. */
#define RENEW_AFTER_MS 10000
/* And if nobody has answered just before lwIP would ask for any address, it is kept as it is. */
#define RENEW_WAIT_MS (DHCP_REBOOT_MS - 200)

static struct net_config config; /* net_lock */
static bool handed_over;         /* net_lock: the address came with ip= */
static _Atomic bool configured;  /* changed under net_lock */
static bool no_network;          /* written at boot */
static struct waitq configured_waiters = WAITQ_INIT(configured_waiters, "network configured");

static struct nic *nic_of(struct netif *netif)
{
	return netif->state;
}

/* Not one that the command line has ruled out, nor one that another card was faster than. */
static bool in_use(const struct nic *nic)
{
	return netif_is_up(&nic->lwip);
}

/* --- ready --------------------------------------------------------------------------------- */

static const char *address_text(uint32_t address, char text[IP4ADDR_STRLEN_MAX])
{
	ip4_addr_t a = { address };
	return ip4addr_ntoa_r(&a, text, IP4ADDR_STRLEN_MAX);
}

/* The n of "/n". */
static unsigned prefix_length(uint32_t netmask)
{
	unsigned length = 0;

	for (; netmask != 0; netmask &= netmask - 1)
		length++;
	return length;
}

static void ready(struct nic *nic)
{
	char address[IP4ADDR_STRLEN_MAX], gateway[IP4ADDR_STRLEN_MAX], server[IP4ADDR_STRLEN_MAX];

	log_info("net: %s, %s: address %s/%u, gateway %s, server %s (%s)", nic->name, nic->driver,
		 address_text(config.address, address), prefix_length(config.netmask),
		 address_text(config.gateway, gateway), address_text(config.next_server, server),
		 handed_over ? "ip=" : "DHCP");
	atomic_store(&configured, true);
	waitq_wake_all(&configured_waiters);
}

/* Makes the card the one, and fills in what lwIP knows; the others are taken down. */
static void adopt(struct nic *nic)
{
	for (struct nic *other = nic_first(); other != NULL; other = other->next) {
		if (other == nic || !in_use(other))
			continue;
		dhcp_release_and_stop(&other->lwip);
		netif_set_down(&other->lwip);
	}
	netif_set_default(&nic->lwip);

	strlcpy(config.interface, nic->name, sizeof(config.interface));
	memcpy(config.mac, nic->mac, sizeof(config.mac));
	config.mtu = nic->lwip.mtu;
	config.address = netif_ip4_addr(&nic->lwip)->addr;
	config.netmask = netif_ip4_netmask(&nic->lwip)->addr;
	config.gateway = netif_ip4_gw(&nic->lwip)->addr;
	for (unsigned i = 0; i < ARRAY_SIZE(config.dns); i++)
		config.dns[i] = dns_getserver(i)->addr;
}

/* --- DHCP ---------------------------------------------------------------------------------- */

static void asking(struct netif *netif)
{
	nic_of(netif)->told = (struct dhcp_options){ 0 };
}

static void told(struct netif *netif, uint8_t option, const uint8_t *value, uint8_t length)
{
	dhcp_options_take(&nic_of(netif)->told, option, value, length);
}

/* What the server has told and lwIP does not keep, where we do not know better already. */
static void adopt_options(struct nic *nic)
{
	const struct dhcp_options *o = &nic->told;

	if (o->mtu != 0 && o->mtu < nic->mtu)
		nic->lwip.mtu = o->mtu;
	config.mtu = nic->lwip.mtu;
	if (config.syslog == 0)
		config.syslog = o->log_server;
	if (config.ntp == 0)
		config.ntp = o->ntp;
	if (config.hostname[0] == '\0')
		strlcpy(config.hostname, o->hostname, sizeof(config.hostname));
	if (config.domain[0] == '\0')
		strlcpy(config.domain, o->domain, sizeof(config.domain));
	if (config.boot_file[0] == '\0')
		strlcpy(config.boot_file, o->boot_file, sizeof(config.boot_file));
}

/* The name in option 66 has an address now, or none: then siaddr, which stands there already. */
static void server_found(const char *name, const ip_addr_t *address, void *arg)
{
	if (address != NULL)
		config.next_server = address->addr;
	else
		log_warn("net: the TFTP server that DHCP names, %s, is not known to DNS", name);
	ready(arg);
}

/*
 * Where the files are: option 66 is what an administrator has written, siaddr often only what the
 * DHCP server thinks of itself, and failing both it is the DHCP server.
 */
static void find_server(struct nic *nic)
{
	const char *name = nic->told.tftp_server;

	config.next_server = nic->dhcp.offered_si_addr.addr;
	if (config.next_server == 0)
		config.next_server = nic->dhcp.server_ip_addr.addr;
	if (name[0] == '\0' || ip_address_parse(name, strlen(name), &config.next_server)) {
		ready(nic);
		return;
	}
	ip_addr_t address;
	switch (dns_gethostbyname(name, &address, server_found, nic)) {
	case ERR_OK:
		server_found(name, &address, nic);
		break;
	case ERR_INPROGRESS:
		break;
	default:
		server_found(name, NULL, nic);
	}
}

/* lwIP has changed an interface's address. */
static void address_changed(struct netif *netif)
{
	struct nic *nic = nic_of(netif);

	if (ip4_addr_isany_val(*netif_ip4_addr(netif))) {
		if (configured && netif == netif_default) {
			log_warn("net: %s has lost its address", nic->name);
			atomic_store(&configured, false);
		}
		return;
	}
	if (!dhcp_supplied_address(netif))
		return;
	config = (struct net_config){ 0 };
	handed_over = false;
	adopt(nic);
	adopt_options(nic);
	find_server(nic);
}

/* Says what is being tried, until there is an address. */
static void report(void *arg)
{
	if (configured)
		return;
	for (struct nic *nic = nic_first(); nic != NULL; nic = nic->next) {
		const char *why = "asks by DHCP and gets no answer";
		if (!in_use(nic))
			continue;
		if (!netif_is_link_up(&nic->lwip))
			why = "has no link";
		else if (dhcp_supplied_address(&nic->lwip))
			why = "has an address and asks DNS for the TFTP server's";
		log_notice("net: not ready after %u s: %s %s", sys_now() / 1000, nic->name, why);
	}
	sys_timeout(REPORT_AGAIN_MS, report, NULL);
}

/* `hostname` is shown to the server if it is not empty. */
static void start_dhcp(const char *hostname)
{
	static char shown[IP_PARAM_NAME_MAX + 1]; /* lwIP keeps a pointer; written here only */

	strlcpy(shown, hostname, sizeof(shown));
	for (struct nic *nic = nic_first(); nic != NULL; nic = nic->next) {
		if (!in_use(nic))
			continue;
		log_info("net: %s: asking for an address (DHCP)", nic->name);
		netif_set_status_callback(&nic->lwip, address_changed);
		netif_set_hostname(&nic->lwip, shown);
		dhcp_set_struct(&nic->lwip, &nic->dhcp);
		if (dhcp_start(&nic->lwip) != ERR_OK)
			log_err("net: %s: DHCP cannot be started: its MTU of %u is too small",
				nic->name, nic->lwip.mtu);
	}
	sys_timeout(REPORT_FIRST_MS, report, NULL);
}

/* --- an address that was handed over -------------------------------------------------------- */

static void renew_done(void *arg)
{
	struct nic *nic = arg;

	if (dhcp_supplied_address(&nic->lwip)) {
		adopt_options(nic);
		log_info("net: %s: lease renewed", nic->name);
	} else if (!ip4_addr_isany_val(*netif_ip4_addr(&nic->lwip))) {
		dhcp_release_and_stop(&nic->lwip);
		log_notice("net: %s: no DHCP server renews the lease; it is kept as it is",
			   nic->name);
	}
}

static void renew(void *arg)
{
	struct nic *nic = arg;

	netif_set_status_callback(&nic->lwip, address_changed);
	dhcp_set_struct(&nic->lwip, &nic->dhcp);
	if (dhcp_start_with(&nic->lwip, netif_ip4_addr(&nic->lwip)) == ERR_OK)
		sys_timeout(RENEW_WAIT_MS, renew_done, nic);
}

/* The first card in use that has a link, or just the first. */
static struct nic *choose_card(void)
{
	struct nic *first = NULL;

	for (struct nic *nic = nic_first(); nic != NULL; nic = nic->next) {
		if (!in_use(nic))
			continue;
		if (netif_is_link_up(&nic->lwip))
			return nic;
		if (first == NULL)
			first = nic;
	}
	return first;
}

static void start_with(const struct ip_param *param)
{
	struct nic *nic = choose_card();

	for (unsigned i = 0; i < ARRAY_SIZE(param->dns); i++) {
		ip_addr_t server = { param->dns[i] };
		dns_setserver(i, &server);
	}
	ip4_addr_t address = { param->client }, netmask = { param->netmask },
		   gateway = { param->gateway };
	netif_set_addr(&nic->lwip, &address, &netmask, &gateway);
	adopt(nic);
	handed_over = true;
	config.next_server = param->server;
	config.ntp = param->ntp;
	strlcpy(config.hostname, param->hostname, sizeof(config.hostname));
	strlcpy(config.domain, param->domain, sizeof(config.domain));
	ready(nic);
	if (param->method == IP_PARAM_DHCP)
		sys_timeout(RENEW_AFTER_MS, renew, nic);
}

/* --- the command line ----------------------------------------------------------------------- */

/* "01-52-54-00-12-34-56", as PXELINUX and iPXE's ${netX/mac:hexhyp} write it; 01 is Ethernet. */
static bool parse_bootif(const char *text, uint8_t mac[6])
{
	uint8_t bytes[7];

	for (unsigned i = 0; i < sizeof(bytes); i++) {
		uint8_t value = 0;
		for (unsigned digit = 0; digit < 2; digit++) {
			char c = *text++;
			if (c >= '0' && c <= '9')
				value = value << 4 | (c - '0');
			else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
				value = value << 4 | ((c | 0x20) - 'a' + 10);
			else
				return false;
		}
		bytes[i] = value;
		char separator = i + 1 < sizeof(bytes) ? '-' : '\0';
		if (*text++ != separator)
			return false;
	}
	memcpy(mac, bytes + 1, 6);
	return true;
}

/* Takes down every card but the one with this MAC (if not NULL) or name; false if it is not here. */
static bool only_card(const uint8_t *mac, const char *name)
{
	struct nic *chosen = NULL;

	for (struct nic *nic = nic_first(); nic != NULL; nic = nic->next) {
		if (mac != NULL ? memcmp(nic->mac, mac, sizeof(nic->mac)) == 0
				: strcmp(nic->name, name) == 0)
			chosen = nic;
	}
	if (chosen == NULL)
		return false;
	for (struct nic *nic = nic_first(); nic != NULL; nic = nic->next) {
		if (nic != chosen)
			netif_set_down(&nic->lwip);
	}
	return true;
}

static void choose_by_command_line(const struct ip_param *param)
{
	char text[32];
	uint8_t mac[6];

	if (cmdline_value("BOOTIF", text, sizeof(text))) {
		if (!parse_bootif(text, mac))
			log_warn("net: BOOTIF=%s is not 01-xx-xx-xx-xx-xx-xx", text);
		else if (only_card(mac, NULL))
			return;
		else
			log_warn("net: there is no card %s that this kernel drives", text);
	}
	if (param->device[0] != '\0' && !only_card(NULL, param->device))
		log_warn("net: there is no card %s", param->device);
}

void configure_start(void)
{
	static const uint8_t wanted[] = DHCP_OPTIONS_WANTED;
	static const struct dhcp_client client = { wanted, sizeof(wanted), asking, told };
	struct ip_param param = { .method = IP_PARAM_DHCP };
	char text[LOG_LINE_MAX];

	dhcp_client_register(&client);
	if (cmdline_value("ip", text, sizeof(text)) && ip_param_parse(text, &param) != 0) {
		log_err("net: ip=%s is not understood; asking by DHCP instead", text);
		param = (struct ip_param){ .method = IP_PARAM_DHCP };
	}
	choose_by_command_line(&param);
	if (param.method == IP_PARAM_OFF) {
		log_notice("net: there is no network, as ip= says");
		no_network = true;
	} else if (param.client != 0) {
		start_with(&param);
	} else {
		start_dhcp(param.hostname);
	}
}

int net_wait_configured(void)
{
	if (nic_first() == NULL || no_network)
		return -ENODEV;
	return wait_event_killable(&configured_waiters, configured);
}

void net_get_config(struct net_config *out)
{
	mutex_lock(&net_lock);
	*out = config;
	mutex_unlock(&net_lock);
}
