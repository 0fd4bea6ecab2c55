/* Counts SIGRTMIN, which the runtime has no handlers for. Compiled when it is loaded. */

typedef void (*handler)(int);

extern handler signal(int number, handler action);
extern int __libc_current_sigrtmin(void);

static volatile int count;

static void on_signal(int number)
{
	count++;
}

/* 0, or -1 where the signal cannot be watched. */
int watch(void)
{
	return signal(__libc_current_sigrtmin(), on_signal) == (handler)-1 ? -1 : 0;
}

/* Signals since the last call. */
int take(void)
{
	int taken = count;
	count -= taken;
	return taken;
}
