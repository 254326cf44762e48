/*
 * kernel/printf.c - formatted text: the conversions of C11 7.21.6.1 for integers, strings and
 * pointers. Floating point, wide characters and %n are not there.
 *
 *	%[flags][width][.precision][length]conversion
 *	flags - + space # 0	length hh h l ll z j t	conversion d i u o x X c s p %
 *
 * An unknown conversion is printed as it stands in the format and consumes no argument.
 */
#include "kernel/string.h"

/* The text so far: `length` counts what should have been written, whether it fitted or not. */
struct sink {
	char *buf;
	size_t size;
	size_t length;
};

struct conversion {
	bool left, plus, space, alternate, zero;
	int width;
	int precision; /* -1: none given */
	enum { SIZE_INT, SIZE_CHAR, SIZE_SHORT, SIZE_LONG } size;
};

/* Digits of a 64-bit number in octal. */
#define DIGITS_MAX 22

static void put(struct sink *out, char c)
{
	if (out->length < out->size)
		out->buf[out->length] = c;
	out->length++;
}

static void put_many(struct sink *out, const char *text, size_t n)
{
	if (out->length < out->size)
		memcpy(out->buf + out->length, text, MIN(n, out->size - out->length));
	out->length += n;
}

static void pad(struct sink *out, char c, int count)
{
	for (; count > 0; count--)
		put(out, c);
}

static void put_text(struct sink *out, const struct conversion *conv, const char *text, size_t n)
{
	int fill = conv->width > 0 && (size_t)conv->width > n ? conv->width - (int)n : 0;

	if (!conv->left)
		pad(out, ' ', fill);
	put_many(out, text, n);
	if (conv->left)
		pad(out, ' ', fill);
}

/* `prefix` is the sign, "0x" or nothing; zeros of the precision and of the 0 flag come after it. */
static void put_number(struct sink *out, const struct conversion *conv, uint64_t value,
		       unsigned base, bool upper, const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[DIGITS_MAX];
	int count = 0, prefix_length = (int)strlen(prefix);

	for (; value != 0; value /= base)
		text[DIGITS_MAX - ++count] = digits[value % base];

	int zeros = (conv->precision < 0 ? 1 : conv->precision) - count;
	if (zeros < 0)
		zeros = 0;
	if (conv->alternate && base == 8 && zeros == 0)
		zeros = 1;

	int fill = conv->width - prefix_length - zeros - count;
	/* C11 7.21.6.1p6: a precision or `-` overrides the flag 0. */
	if (conv->zero && !conv->left && conv->precision < 0 && fill > 0) {
		zeros += fill;
		fill = 0;
	}
	if (!conv->left)
		pad(out, ' ', fill);
	put_many(out, prefix, (size_t)prefix_length);
	pad(out, '0', zeros);
	put_many(out, text + DIGITS_MAX - count, (size_t)count);
	if (conv->left)
		pad(out, ' ', fill);
}

static int64_t narrow_signed(const struct conversion *conv, int64_t value)
{
	switch (conv->size) {
	case SIZE_CHAR:
		return (signed char)value;
	case SIZE_SHORT:
		return (short)value;
	case SIZE_INT:
		return (int)value;
	case SIZE_LONG:
		break;
	}
	return value;
}

static uint64_t narrow_unsigned(const struct conversion *conv, uint64_t value)
{
	switch (conv->size) {
	case SIZE_CHAR:
		return (unsigned char)value;
	case SIZE_SHORT:
		return (unsigned short)value;
	case SIZE_INT:
		return (unsigned)value;
	case SIZE_LONG:
		break;
	}
	return value;
}

static const char *parse_flags(const char *fmt, struct conversion *conv)
{
	for (;; fmt++) {
		switch (*fmt) {
		case '-':
			conv->left = true;
			break;
		case '+':
			conv->plus = true;
			break;
		case ' ':
			conv->space = true;
			break;
		case '#':
			conv->alternate = true;
			break;
		case '0':
			conv->zero = true;
			break;
		default:
			return fmt;
		}
	}
}

static const char *parse_int(const char *fmt, int *out)
{
	int value = 0;

	for (; *fmt >= '0' && *fmt <= '9'; fmt++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *fmt - '0', &value))
			value = INT32_MAX / 10; /* absurd, but no undefined behaviour */
	}
	*out = value;
	return fmt;
}

static const char *parse_length(const char *fmt, struct conversion *conv)
{
	switch (*fmt) {
	case 'h':
		conv->size = fmt[1] == 'h' ? SIZE_CHAR : SIZE_SHORT;
		return fmt + (conv->size == SIZE_CHAR ? 2 : 1);
	case 'l':
		conv->size = SIZE_LONG;
		return fmt + (fmt[1] == 'l' ? 2 : 1);
	case 'z':
	case 'j':
	case 't':
		conv->size = SIZE_LONG;
		return fmt + 1;
	default:
		return fmt;
	}
}

/* va_list may be an array type: inside a struct it can be passed on by address. */
struct arguments {
	va_list ap;
};

static const char *parse_conversion(const char *fmt, struct conversion *conv,
				    struct arguments *args)
{
	*conv = (struct conversion){ .precision = -1 };
	fmt = parse_flags(fmt, conv);
	if (*fmt == '*') {
		conv->width = va_arg(args->ap, int);
		if (conv->width < 0) {
			conv->left = true;
			conv->width = conv->width == INT32_MIN ? 0 : -conv->width;
		}
		fmt++;
	} else {
		fmt = parse_int(fmt, &conv->width);
	}
	if (*fmt == '.') {
		fmt++;
		if (*fmt == '*') {
			conv->precision = va_arg(args->ap, int);
			if (conv->precision < 0)
				conv->precision = -1;
			fmt++;
		} else {
			fmt = parse_int(fmt, &conv->precision);
		}
	}
	return parse_length(fmt, conv);
}

static void put_signed(struct sink *out, const struct conversion *conv, int64_t value)
{
	const char *sign = value < 0 ? "-" : conv->plus ? "+" : conv->space ? " " : "";
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

	put_number(out, conv, magnitude, 10, false, sign);
}

static void put_hexadecimal(struct sink *out, const struct conversion *conv, uint64_t value,
			    bool upper)
{
	const char *prefix = conv->alternate && value != 0 ? (upper ? "0X" : "0x") : "";

	put_number(out, conv, value, 16, upper, prefix);
}

static void put_string(struct sink *out, const struct conversion *conv, const char *s)
{
	if (s == NULL)
		s = "(null)";
	put_text(out, conv, s,
		 conv->precision < 0 ? strlen(s) : strnlen(s, (size_t)conv->precision));
}

/* One conversion; false if the character is none. */
static bool convert(struct sink *out, struct conversion *conv, char c, struct arguments *args)
{
	switch (c) {
	case 'd':
	case 'i': {
		int64_t value =
			conv->size == SIZE_LONG ? va_arg(args->ap, int64_t) : va_arg(args->ap, int);
		put_signed(out, conv, narrow_signed(conv, value));
		return true;
	}
	case 'u':
	case 'o':
	case 'x':
	case 'X': {
		uint64_t value = conv->size == SIZE_LONG ? va_arg(args->ap, uint64_t)
							 : va_arg(args->ap, unsigned);
		value = narrow_unsigned(conv, value);
		if (c == 'u')
			put_number(out, conv, value, 10, false, "");
		else if (c == 'o')
			put_number(out, conv, value, 8, false, "");
		else
			put_hexadecimal(out, conv, value, c == 'X');
		return true;
	}
	case 'p':
		put_number(out, conv, (uintptr_t)va_arg(args->ap, void *), 16, false, "0x");
		return true;
	case 'c': {
		char byte = (char)va_arg(args->ap, int);
		put_text(out, conv, &byte, 1);
		return true;
	}
	case 's':
		put_string(out, conv, va_arg(args->ap, const char *));
		return true;
	case '%':
		put(out, '%');
		return true;
	default:
		return false;
	}
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct sink out = { .buf = buf, .size = size };
	struct arguments args;

	va_copy(args.ap, ap);
	while (*fmt != '\0') {
		const char *literal = fmt;
		while (*fmt != '\0' && *fmt != '%')
			fmt++;
		put_many(&out, literal, (size_t)(fmt - literal));
		if (*fmt == '\0')
			break;

		struct conversion conv;
		const char *start = fmt;
		fmt = parse_conversion(fmt + 1, &conv, &args);
		if (convert(&out, &conv, *fmt, &args)) {
			fmt++;
			continue;
		}
		if (*fmt != '\0')
			fmt++;
		put_many(&out, start, (size_t)(fmt - start));
	}
	va_end(args.ap);
	if (size > 0)
		buf[MIN(out.length, size - 1)] = '\0';
	return (int)out.length;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int length = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return length;
}
