#include "local/podioint.h"
void podio_exec(void *arg, struct call *c, const struct podio_target *t)
{
	(void)arg;
	(void)t;
	call_text(c, 501, "x");
}
void podio_forward(void *arg, struct call *c, const struct podio_target *t)
{
	(void)arg;
	(void)t;
	call_text(c, 501, "x");
}
