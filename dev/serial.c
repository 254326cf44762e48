/*
 * dev/serial.c - the 16550 UART (National Semiconductor PC16550D; constants: <linux/serial_reg.h>).
 *
 *	serial_write ──> [tx ring] ──pump──> UART's FIFO ──> wire
 *	serial_read  <── [rx ring] <──drain── UART's FIFO <── wire
 *
 * pump() is called by whoever puts something into the ring, and by the interrupt handler. It looks
 * at LSR itself and fills the FIFO as long as that is empty; only if something is left does it ask
 * for the "transmitter empty" interrupt, which the UART raises at once if the FIFO has run empty in
 * between. So no transmission hangs on an interrupt that has come too early or been lost.
 *
 * When nobody takes what arrives and the ring is full, the rest stays in the UART and its interrupt
 * is turned off, until serial_read() has made room: RTS asks the other side to stop, and an emulated
 * one stops by itself. What overruns the UART nevertheless is counted.
 *
 * The interrupt line is edge-triggered: the handler goes on until the UART says that nothing is
 * pending, or else the line stays up and no edge comes again.
 */
#include "dev/serial.h"

#include "kernel/clock.h"
#include "kernel/irq.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/x86_64/regs.h"
#include <linux/serial_reg.h>

#define CLOCK_BAUD 115200 /* divisor 1 */

/* Powers of two: positions count up and wrap at 2^32. */
#define TX_RING 8192u
#define RX_RING 4096u

/* Without the FIFO's two bits in IIR it is an 8250 or 16450: one byte at a time. */
#define IIR_FIFO   0xc0
#define FIFO_DEPTH 16

/* Reads of a register are a microsecond or so on the bus: these are some 10 and 100 ms. */
#define POLLS_PER_BYTE 10000
#define POLLS_TO_DRAIN 100000

/* So long without a byte, and nobody is sending, neither a person nor a pipe. */
#define QUIET_NS NSEC_PER_SEC

/* More causes in a row than this, and the UART is not one. */
#define CAUSES_MAX 256

struct serial {
	uint16_t base;
	uint8_t line;
	uint8_t fifo_depth;
	bool open, started;
	struct irq_handler handler;
	void (*received)(void);

	struct spinlock lock; /* RANK_CONSOLE: all that follows */
	uint8_t ier;
	uint32_t tx_head, tx_tail; /* positions; tail == head: empty */
	uint32_t rx_head, rx_tail;
	bool tx_waited_for; /* a thread sleeps in tx_room */
	bool rx_stopped;    /* the ring is full */
	bool fifo_later;    /* to be turned on once nobody sends */
	uint64_t last_received_ns;
	uint64_t overruns;
	char *tx, *rx;        /* TX_RING and RX_RING bytes */
	struct waitq tx_room; /* has a lock of its own */
};

/* Apart from the ports, so that they take no room in the image. */
static char rings[SERIAL_PORTS][TX_RING + RX_RING]; /* each: its port's lock */

static struct serial ports[SERIAL_PORTS] = {
	{ .base = 0x3f8, .line = 4, .tx = rings[0], .rx = rings[0] + TX_RING },
	{ .base = 0x2f8, .line = 3, .tx = rings[1], .rx = rings[1] + TX_RING },
};

static uint8_t get(const struct serial *port, unsigned reg)
{
	return inb((uint16_t)(port->base + reg));
}

static void set(const struct serial *port, unsigned reg, uint8_t value)
{
	outb((uint16_t)(port->base + reg), value);
}

/* --- both directions; the lock held ------------------------------------------------------------------- */

static uint32_t tx_used(const struct serial *port)
{
	return port->tx_head - port->tx_tail;
}

static uint32_t rx_used(const struct serial *port)
{
	return port->rx_head - port->rx_tail;
}

/*
 * Whoever waits for room is woken by the interrupt handler alone, for other callers of pump() may
 * hold locks that forbid it: so the interrupt stays on for him even if they empty the ring.
 */
static void choose_interrupts(struct serial *port)
{
	uint8_t ier = port->rx_stopped ? 0 : UART_IER_RDI | UART_IER_RLSI;

	if (tx_used(port) > 0 || port->tx_waited_for)
		ier |= UART_IER_THRI;
	if (port->started && port->ier != ier) {
		port->ier = ier;
		set(port, UART_IER, ier);
	}
}

static void fill_fifo(struct serial *port)
{
	for (unsigned i = 0; i < port->fifo_depth && tx_used(port) > 0; i++)
		set(port, UART_TX, (uint8_t)port->tx[port->tx_tail++ % TX_RING]);
}

static void pump(struct serial *port)
{
	while (tx_used(port) > 0 && (get(port, UART_LSR) & UART_LSR_THRE))
		fill_fifo(port);
	choose_interrupts(port);
}

static bool fifo_on(const struct serial *port)
{
	return (get(port, UART_IIR) & IIR_FIFO) == IIR_FIFO;
}

static void use_fifo(struct serial *port)
{
	set(port, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	port->fifo_depth = fifo_on(port) ? FIFO_DEPTH : 1;
	port->fifo_later = false;
}

/*
 * Turning the FIFO on throws away what is in the receiver. If somebody was sending while the port was
 * opened, that waits until he has stopped.
 */
static void use_fifo_when_quiet(struct serial *port)
{
	if (port->fifo_later && clock_ns() >= port->last_received_ns + QUIET_NS &&
	    !(get(port, UART_LSR) & UART_LSR_DR))
		use_fifo(port);
}

/* On a PC, OUT2 connects the UART to its interrupt line. */
static void stop_receiving(struct serial *port, bool stop)
{
	port->rx_stopped = stop;
	set(port, UART_MCR, UART_MCR_DTR | UART_MCR_OUT2 | (stop ? 0 : UART_MCR_RTS));
}

static bool drain(struct serial *port)
{
	bool any = false;

	/* Bounded: a port that answers 0xff to everything would never be done. */
	for (unsigned i = 0; i < RX_RING; i++) {
		if (rx_used(port) == RX_RING) {
			stop_receiving(port, true);
			break;
		}
		uint8_t status = get(port, UART_LSR);
		if (status & UART_LSR_OE)
			port->overruns++;
		if (!(status & UART_LSR_DR))
			break;
		char byte = (char)get(port, UART_RX);
		/* A break arrives as a zero byte that nobody sent. */
		if (status & UART_LSR_BI)
			continue;
		port->rx[port->rx_head++ % RX_RING] = byte;
		any = true;
	}
	if (any)
		port->last_received_ns = clock_ns();
	return any;
}

/* --- finding it and setting it up ------------------------------------------------------------------- */

static bool holds(const struct serial *port, unsigned reg, uint8_t value)
{
	set(port, reg, value);
	return get(port, reg) == value;
}

/* The scratch register holds anything, the interrupt register only its lower half; air holds neither. */
static bool present(const struct serial *port)
{
	if (!holds(port, UART_SCR, 0x5a) || !holds(port, UART_SCR, 0xa5))
		return false;
	set(port, UART_IER, 0xff);
	uint8_t ier = get(port, UART_IER);
	set(port, UART_IER, 0);
	return (ier & 0x0f) == 0x0f && ier != 0xff;
}

static bool wait_for(const struct serial *port, uint8_t status, unsigned polls)
{
	while ((get(port, UART_LSR) & status) != status) {
		if (polls-- == 0)
			return false;
		cpu_relax();
	}
	return true;
}

static void set_line(struct serial *port, unsigned baud)
{
	unsigned divisor = CLOCK_BAUD / baud;

	set(port, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	set(port, UART_DLL, (uint8_t)divisor);
	set(port, UART_DLM, (uint8_t)(divisor >> 8));
	set(port, UART_LCR, UART_LCR_WLEN8);
	stop_receiving(port, false);
	port->fifo_depth = 1;
	if (fifo_on(port) || !(get(port, UART_LSR) & UART_LSR_DR))
		use_fifo(port);
	else
		port->fifo_later = true;
}

struct serial *serial_open(unsigned index, unsigned baud)
{
	if (index >= SERIAL_PORTS || baud == 0 || baud > CLOCK_BAUD)
		return NULL;
	struct serial *port = &ports[index];
	if (port->open)
		return port;
	if (!present(port))
		return NULL;
	spin_init(&port->lock, "serial", RANK_CONSOLE);
	waitq_init(&port->tx_room, "serial");
	/* What the firmware was about to say, it may say. */
	wait_for(port, UART_LSR_TEMT, POLLS_TO_DRAIN);
	set_line(port, baud);
	port->open = true;
	return port;
}

/* --- interrupts ------------------------------------------------------------------------------------------- */

static bool handle_interrupt(void *arg)
{
	struct serial *port = arg;
	bool ours = false, received = false;

	spin_lock(&port->lock);
	for (unsigned i = 0; i < CAUSES_MAX; i++) {
		uint8_t cause = get(port, UART_IIR);
		if (cause & UART_IIR_NO_INT)
			break;
		ours = true;
		/* A modem line has changed: reading it is what the UART wants. */
		if ((cause & UART_IIR_ID) == UART_IIR_MSI)
			(void)get(port, UART_MSR);
		received |= drain(port);
		pump(port);
	}
	bool room = port->tx_waited_for && tx_used(port) <= TX_RING / 2;
	if (room) {
		port->tx_waited_for = false;
		choose_interrupts(port);
	}
	spin_unlock(&port->lock);

	if (room)
		waitq_wake_all(&port->tx_room);
	if (received)
		port->received();
	return ours;
}

int serial_start(struct serial *port, void (*received)(void))
{
	port->received = received;
	port->handler = (struct irq_handler){
		.handle = handle_interrupt,
		.arg = port,
		.name = "serial",
	};
	int error = irq_register_line(port->line, &port->handler);
	if (error < 0)
		return error;

	spin_lock(&port->lock);
	port->started = true;
	bool early = drain(port);
	pump(port);
	spin_unlock(&port->lock);
	if (early)
		received();
	return 0;
}

/* --- output --------------------------------------------------------------------------------------------- */

/* As much as fits into the ring; the lock held. */
static size_t put(struct serial *port, const char *data, size_t length)
{
	size_t room = TX_RING - tx_used(port);
	size_t n = MIN(length, room);

	for (size_t i = 0; i < n; i++)
		port->tx[port->tx_head++ % TX_RING] = data[i];
	return n;
}

/* Everything in the ring, polled; gives up on a UART that is stuck. */
static void pump_all(struct serial *port)
{
	while (tx_used(port) > 0) {
		if (!wait_for(port, UART_LSR_THRE, POLLS_PER_BYTE * FIFO_DEPTH)) {
			port->tx_tail = port->tx_head;
			return;
		}
		fill_fifo(port);
	}
}

/* A panic takes no lock: whoever holds it will never let go. */
static bool lock_unless_panic(struct serial *port)
{
	if (panic_active())
		return false;
	spin_lock(&port->lock);
	return true;
}

size_t serial_write(struct serial *port, const char *data, size_t length)
{
	spin_lock(&port->lock);
	size_t n = put(port, data, length);
	if (port->started) {
		use_fifo_when_quiet(port);
		pump(port);
	} else {
		pump_all(port);
	}
	spin_unlock(&port->lock);
	return n;
}

void serial_write_polled(struct serial *port, const char *data, size_t length)
{
	bool locked = lock_unless_panic(port);

	while (length > 0) {
		size_t n = put(port, data, length);
		data += n;
		length -= n;
		if (length > 0 || !locked || !port->started)
			pump_all(port);
	}
	if (!locked)
		return;
	pump(port);
	spin_unlock(&port->lock);
}

/* Whether at most `most` bytes are left in the ring; if not, the handler is to wake us. */
static bool tx_down_to(struct serial *port, uint32_t most)
{
	spin_lock(&port->lock);
	bool down = tx_used(port) <= most;
	if (!down)
		port->tx_waited_for = true;
	spin_unlock(&port->lock);
	return down;
}

int serial_wait_room(struct serial *port)
{
	if (!port->started)
		return 0;
	return wait_event_killable(&port->tx_room, tx_down_to(port, TX_RING / 2));
}

int serial_wait_empty(struct serial *port)
{
	if (!port->started)
		return 0;
	return wait_event_killable(&port->tx_room, tx_down_to(port, 0));
}

void serial_flush(struct serial *port)
{
	bool locked = lock_unless_panic(port);

	pump_all(port);
	wait_for(port, UART_LSR_TEMT, POLLS_TO_DRAIN);
	if (!locked)
		return;
	pump(port);
	spin_unlock(&port->lock);
}

/* --- input ---------------------------------------------------------------------------------------------- */

size_t serial_read(struct serial *port, char *out, size_t size)
{
	size_t n = 0;

	spin_lock(&port->lock);
	while (n < size && rx_used(port) > 0)
		out[n++] = port->rx[port->rx_tail++ % RX_RING];
	if (port->rx_stopped && rx_used(port) <= RX_RING / 2) {
		stop_receiving(port, false);
		drain(port);
		choose_interrupts(port);
	}
	spin_unlock(&port->lock);
	return n;
}

bool serial_readable(struct serial *port)
{
	spin_lock(&port->lock);
	bool readable = rx_used(port) > 0;
	spin_unlock(&port->lock);
	return readable;
}

uint64_t serial_overruns(struct serial *port)
{
	spin_lock(&port->lock);
	uint64_t overruns = port->overruns;
	spin_unlock(&port->lock);
	return overruns;
}
