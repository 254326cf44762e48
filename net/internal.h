/*
 * net/internal.h - what the files of net/ that bring the network up share. Not for other rooms.
 */
#ifndef HAWSER_NET_INTERNAL_H
#define HAWSER_NET_INTERNAL_H

#include "net/netif.h"

/* --- netif.c: all the cards. The list only grows, at boot. -------------------------------- */

struct nic *nic_first(void);

/*
 * Polls every card for at most `budget` frames each, then calls `timers`, then lets the cards send
 * what that has caused. The number of frames received. net_lock.
 */
unsigned nics_serve(unsigned budget, void (*timers)(void));
/* Whether a card has something for us. No lock. */
bool nics_pending(void);
void nics_set_interrupts(bool on);

/* --- configure.c: addresses --------------------------------------------------------------- */

/* Reads the command line and begins. net_lock; the cards are registered. */
void configure_start(void);

#endif
