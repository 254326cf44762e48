/*
 * kernel/cred.c - the first credentials, and who belongs to which group.
 */
#include "kernel/cred.h"

struct cred root_cred = {
	.refs = 1,
	.permitted = CAP_ALL,
	.effective = CAP_ALL,
	.bounding = CAP_ALL,
};

bool cred_in_group(const struct cred *cred, uint32_t gid)
{
	const struct group_list *groups = cred->groups;
	uint32_t low = 0, high = groups != NULL ? groups->count : 0;

	if (gid == cred->fsgid)
		return true;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (groups->ids[middle] == gid)
			return true;
		if (groups->ids[middle] < gid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
