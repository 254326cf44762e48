/* The program that both kernels fetch and run: what it prints ends the measurement. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	puts("hello from a program");
	fflush(stdout);
	/* Nothing of the machine's end is measured. */
	for (;;)
		pause();
}
