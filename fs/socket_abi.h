/*
 * fs/socket_abi.h - what libraries have in <sys/socket.h> and Linux in no UAPI header: socket(7), unix(7).
 */
#ifndef HAWSER_FS_SOCKET_ABI_H
#define HAWSER_FS_SOCKET_ABI_H

#include "kernel/base.h"
#include <asm/socket.h> /* SOL_SOCKET, SO_* */
#include <linux/fcntl.h>

#define AF_UNSPEC        0
#define AF_UNIX          1
#define AF_MAX           46 /* families that Linux has numbers for are below it */

#define SOCK_STREAM      1
#define SOCK_DGRAM       2
#define SOCK_RAW         3
#define SOCK_SEQPACKET   5
#define SOCK_TYPE_MASK   0xf
#define SOCK_CLOEXEC     O_CLOEXEC
#define SOCK_NONBLOCK    O_NONBLOCK

#define MSG_OOB          0x1
#define MSG_PEEK         0x2
#define MSG_CTRUNC       0x8
#define MSG_TRUNC        0x20
#define MSG_DONTWAIT     0x40
#define MSG_WAITALL      0x100
#define MSG_ERRQUEUE     0x2000
#define MSG_NOSIGNAL     0x4000
#define MSG_WAITFORONE   0x10000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SHUT_RD          0
#define SHUT_WR          1
#define SHUT_RDWR        2

#define SOMAXCONN        4096

#define SCM_RIGHTS       1
#define SCM_CREDENTIALS  2
#define SCM_MAX_FD       253 /* descriptors in one message */

struct ucred {
	uint32_t pid, uid, gid;
};

struct linger {
	int onoff, seconds;
};

/* struct msghdr of sendmsg(2). */
struct user_message {
	vaddr_t name;
	int32_t name_length;
	uint32_t padding1;
	vaddr_t vectors;
	uint64_t vector_count;
	vaddr_t control;
	uint64_t control_length;
	uint32_t flags;
	uint32_t padding2;
};

/* struct mmsghdr of sendmmsg(2). */
struct user_message_vector {
	struct user_message message;
	uint32_t length;
	uint32_t padding;
};

/* struct cmsghdr of cmsg(3). */
struct control_header {
	uint64_t length; /* with the header */
	int32_t level, type;
};
#define CONTROL_ALIGN(length) ALIGN_UP(length, sizeof(uint64_t))

_Static_assert(sizeof(struct user_message) == 56, "struct msghdr");
_Static_assert(sizeof(struct user_message_vector) == 64, "struct mmsghdr");
_Static_assert(sizeof(struct control_header) == 16, "struct cmsghdr");

#endif
