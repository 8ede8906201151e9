/* lwip_peer TAP IP PREFIX GW MODE PORT: lwIP's raw API (NO_SYS=1) on a TAP.
 * MODE: sink | source | echo | udpecho. tools/peers/rivals.py compiles it against Debian's lwIP. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"

static int tap;
static enum { SINK, SOURCE, ECHO, UDPECHO } mode;
static u8_t pattern[65536 + 256];

u32_t sys_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u32_t)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}
unsigned int lwip_port_rand(void) { return (unsigned int)random(); }

static err_t link_out(struct netif *n, struct pbuf *p)
{
    static u8_t frame[2048];
    const void *d = p->payload;
    (void)n;
    if (p->next) {
        pbuf_copy_partial(p, frame, p->tot_len, 0);
        d = frame;
    }
    return write(tap, d, p->tot_len) == p->tot_len ? ERR_OK : ERR_IF;
}

static int link_in(struct netif *n)            /* one frame; 0 when none waits */
{
    static u8_t frame[2048];
    ssize_t r = read(tap, frame, sizeof frame);
    struct pbuf *p;
    if (r <= 0)
        return 0;
    p = pbuf_alloc(PBUF_RAW, (u16_t)r, PBUF_POOL);
    if (p) {
        pbuf_take(p, frame, (u16_t)r);
        if (n->input(p, n) != ERR_OK)
            pbuf_free(p);
    }
    return 1;
}

static err_t link_init(struct netif *n)
{
    static const u8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
    n->name[0] = 't'; n->name[1] = 'p';
    n->output = etharp_output;
    n->linkoutput = link_out;
    n->mtu = 1500;
    n->hwaddr_len = 6;
    memcpy(n->hwaddr, mac, 6);
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

static u32_t sent_off;
static void pump(struct tcp_pcb *c)
{
    for (;;) {
        u32_t n = tcp_sndbuf(c);
        if (n < TCP_MSS)
            break;
        if (n > 16 * TCP_MSS)
            n = 16 * TCP_MSS;
        if (tcp_write(c, pattern + (sent_off & 255), (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        sent_off += n;
    }
    tcp_output(c);
}
static err_t on_sent(void *a, struct tcp_pcb *c, u16_t l) { (void)a; (void)l; pump(c); return ERR_OK; }

struct echo { struct pbuf *q; };
static void echo_push(struct echo *e, struct tcp_pcb *c)
{
    while (e->q) {
        struct pbuf *p = e->q, *n = p->next;
        if (tcp_sndbuf(c) < p->len || tcp_write(c, p->payload, p->len, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        if (n)
            pbuf_ref(n);
        e->q = n;
        tcp_recved(c, p->len);
        pbuf_free(p);
    }
    tcp_output(c);
}
static err_t echo_sent(void *a, struct tcp_pcb *c, u16_t l) { (void)l; echo_push(a, c); return ERR_OK; }

static void done(void *a, struct tcp_pcb *c)
{
    struct echo *e = a;
    tcp_arg(c, NULL); tcp_recv(c, NULL); tcp_sent(c, NULL); tcp_err(c, NULL);
    if (e) {
        if (e->q)
            pbuf_free(e->q);
        free(e);
    }
    if (tcp_close(c) != ERR_OK)
        tcp_abort(c);
}
static void on_err(void *a, err_t err)
{
    struct echo *e = a;
    (void)err;
    if (e) {
        if (e->q)
            pbuf_free(e->q);
        free(e);
    }
}
static err_t on_recv(void *a, struct tcp_pcb *c, struct pbuf *p, err_t err)
{
    (void)err;
    if (!p) {
        done(a, c);
        return ERR_OK;
    }
    if (mode == ECHO) {
        struct echo *e = a;
        if (e->q)
            pbuf_cat(e->q, p);
        else
            e->q = p;
        echo_push(e, c);
        return ERR_OK;
    }
    tcp_recved(c, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}
static err_t on_accept(void *a, struct tcp_pcb *c, err_t err)
{
    (void)a;
    if (err != ERR_OK || !c)
        return ERR_VAL;
    tcp_arg(c, NULL);
    tcp_recv(c, on_recv);
    tcp_err(c, on_err);
    if (mode == ECHO) {
        tcp_arg(c, calloc(1, sizeof(struct echo)));
        tcp_nagle_disable(c);
        tcp_sent(c, echo_sent);
    } else if (mode == SOURCE) {
        sent_off = 0;
        tcp_sent(c, on_sent);
        pump(c);
    }
    return ERR_OK;
}
static void on_udp(void *a, struct udp_pcb *u, struct pbuf *p, const ip_addr_t *ip, u16_t port)
{
    (void)a;
    udp_sendto(u, p, ip, port);
    pbuf_free(p);
}
int main(int ac, char **av)
{
    static struct netif nif;
    ip4_addr_t ip, gw, mask;
    struct ifreq r;
    u16_t port;
    size_t i;
    if (ac < 7)
        return fprintf(stderr, "usage: lwip_peer TAP IP PREFIX GW MODE PORT\n"), 2;
    for (i = 0; i < sizeof pattern; i++)
        pattern[i] = (u8_t)i;
    srandom((unsigned)time(NULL) ^ (unsigned)getpid());
    mode = !strcmp(av[5], "sink") ? SINK : !strcmp(av[5], "source") ? SOURCE :
           !strcmp(av[5], "echo") ? ECHO : UDPECHO;
    port = (u16_t)atoi(av[6]);
    ip4addr_aton(av[2], &ip);
    ip4addr_aton(av[4], &gw);
    mask.addr = lwip_htonl(0xffffffffu << (32 - atoi(av[3])));
    tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    memset(&r, 0, sizeof r);
    r.ifr_flags = IFF_TAP | IFF_NO_PI;
    strncpy(r.ifr_name, av[1], IFNAMSIZ - 1);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &r) < 0)
        return perror(av[1]), 1;
    lwip_init();
    netif_add(&nif, &ip, &mask, &gw, NULL, link_init, ethernet_input);
    netif_set_default(&nif);
    netif_set_up(&nif);
    if (mode == UDPECHO) {
        struct udp_pcb *u = udp_new();
        udp_bind(u, IP_ADDR_ANY, port);
        udp_recv(u, on_udp, NULL);
    } else {
        struct tcp_pcb *l = tcp_new();
        tcp_bind(l, IP_ADDR_ANY, port);
        l = tcp_listen(l);
        tcp_accept(l, on_accept);
    }
    for (;;) {
        struct pollfd p = { tap, POLLIN, 0 };
        int k = 0;
        while (k < 64 && link_in(&nif))
            k++;
        sys_check_timeouts();
        if (k < 64) {
            u32_t t = sys_timeouts_sleeptime();
            poll(&p, 1, t == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? 1000 : (int)t);
        }
    }
}
