/* trips tcp|udp IP PORT SECS: one octet there and back, again and again, by a client that never
 * sleeps: it looks for the answer until it is there. Prints: trips, seconds, lost, and the least,
 * median and 99th percentile of a trip in microseconds. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static unsigned counts[100001];                     /* of trips that took so many 1/10 us */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double quantile(long n)
{
    long seen = 0;
    int i;
    for (i = 0; i < 100000 && (seen += counts[i]) <= n; i++)
        ;
    return i / 10.0;
}

int main(int ac, char **av)
{
    if (ac < 5)
        return 2;
    int tcp = av[1][0] == 't', one = 1;
    int s = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(av[3])) };
    double secs = atof(av[4]), begin, t, u;
    long n = 0, lost = 0;
    unsigned char b[2048], value = 0;
    inet_pton(AF_INET, av[2], &a.sin_addr);
    if (connect(s, (struct sockaddr *)&a, sizeof a))
        return perror("connect"), 1;
    if (tcp)
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (begin = t = now(); t - begin < secs; t = u) {
        value++;
        if (send(s, &value, 1, 0) != 1)
            return perror("send"), 1;
        for (;;) {
            int got = recv(s, b, sizeof b, MSG_DONTWAIT);
            u = now();
            if (got == 1 && b[0] == value) {
                int i = (u - t) * 1e7;
                counts[i < 100000 ? i : 100000]++;
                n++;
                break;
            }
            if (got == 0)
                return fprintf(stderr, "closed early\n"), 1;
            if (u - t > 0.5) {
                lost++;
                break;
            }
        }
    }
    printf("%ld %.6f %ld %.1f %.1f %.1f\n", n, t - begin, lost, quantile(0), quantile(n / 2),
           quantile(n * 99 / 100));
    return 0;
}
