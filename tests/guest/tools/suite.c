/*
 * The first process of a boot that runs guest tests: runs the commands of a list, one a line, one
 * after the other in this same process. See tests/guest/tap.h.
 *
 *	init="/guest/suite /guest/list"
 */
#include "../tap.h"

int main(int argc, char **argv)
{
	tap_begin(argv);
	if (argc != 2) {
		fprintf(stderr, "usage: suite LIST\n");
		return 2;
	}
	setenv("HAWSER_LIST", argv[1], 1);
	return tap_next();
}
