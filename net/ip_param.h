/*
 * net/ip_param.h - the command line's `ip=`, as Linux reads it
 * (Documentation/admin-guide/nfs/nfsroot.rst).
 *
 *	ip=client:server:gateway:netmask:hostname:device:autoconf:dns0:dns1:ntp
 *	ip=dhcp   ip=off
 *
 * Trailing fields may be missing and any may be empty. Pure: knows no card and no command line.
 */
#ifndef HAWSER_NET_IP_PARAM_H
#define HAWSER_NET_IP_PARAM_H

#include "kernel/base.h"

#define IP_PARAM_NAME_MAX 64

enum ip_param_method {
	IP_PARAM_STATIC, /* the client's address is given */
	IP_PARAM_DHCP,
	IP_PARAM_OFF, /* no network */
};

/* Addresses are in network byte order, 0 if not given. */
struct ip_param {
	enum ip_param_method method;
	uint32_t client, server, gateway, netmask;
	uint32_t dns[2];
	uint32_t ntp;
	char hostname[IP_PARAM_NAME_MAX + 1]; /* up to the first dot of the field, */
	char domain[IP_PARAM_NAME_MAX + 1];   /* and from there on */
	char device[16];                      /* as Linux's IFNAMSIZ */
};

/*
 * Reads the value of `ip=`. Where there is an address and no netmask, the mask is that of the
 * address's class, as in Linux. An address with DHCP asked for as well is the one to begin with.
 * -EINVAL: an address, mask or method that is none, a name that is too long, too many fields.
 */
int ip_param_parse(const char *value, struct ip_param *out);

/*
 * Reads `length` characters as a dotted quad (no octal, no shorter forms) into network byte order.
 * False if they are anything else.
 */
bool ip_address_parse(const char *text, size_t length, uint32_t *out);

#endif
