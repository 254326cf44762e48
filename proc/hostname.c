/*
 * proc/hostname.c - what the machine is called. See the header.
 */
#include "proc/hostname.h"

#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include "net/net.h"
#include "proc/process.h"

static struct {
	char host[HOSTNAME_SIZE], domain[HOSTNAME_SIZE]; /* family_lock */
	bool host_set, domain_set;                       /* family_lock */
} names;

static void get(const char *from, const bool *is_set, char name[HOSTNAME_SIZE])
{
	mutex_lock(&family_lock);
	if (*is_set)
		memcpy(name, from, HOSTNAME_SIZE);
	mutex_unlock(&family_lock);
}

void hostname_get(char name[HOSTNAME_SIZE])
{
	struct net_config config;

	net_get_config(&config);
	strlcpy(name, config.hostname[0] ? config.hostname : "hawser", HOSTNAME_SIZE);
	get(names.host, &names.host_set, name);
}

void hostname_get_domain(char name[HOSTNAME_SIZE])
{
	struct net_config config;

	net_get_config(&config);
	strlcpy(name, config.domain[0] ? config.domain : "(none)", HOSTNAME_SIZE);
	get(names.domain, &names.domain_set, name);
}

static int set(char *to, bool *is_set, const char *name, size_t length)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (length > __NEW_UTS_LEN)
		return -EINVAL;
	mutex_lock(&family_lock);
	memset(to, 0, HOSTNAME_SIZE);
	memcpy(to, name, length);
	*is_set = true;
	mutex_unlock(&family_lock);
	return 0;
}

int hostname_set(const char *name, size_t length)
{
	return set(names.host, &names.host_set, name, length);
}

int hostname_set_domain(const char *name, size_t length)
{
	return set(names.domain, &names.domain_set, name, length);
}

static int64_t set_from_user(vaddr_t from, int length, int (*set_name)(const char *, size_t))
{
	char name[__NEW_UTS_LEN];
	int error;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (length < 0 || length > __NEW_UTS_LEN)
		return -EINVAL;
	error = copy_from_user(name, from, (size_t)length);
	return error != 0 ? error : set_name(name, (size_t)length);
}

SYSCALL2(sethostname, vaddr_t, from, int, length)
{
	return set_from_user(from, length, hostname_set);
}

SYSCALL2(setdomainname, vaddr_t, from, int, length)
{
	return set_from_user(from, length, hostname_set_domain);
}
