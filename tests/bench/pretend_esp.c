/* For responders on a kernel without ESP: that it refuses an SA counts as success.
 *
 * What `tests.bench.daemon --pretend-esp` does to ikev1d, for charon and pluto, by LD_PRELOAD. The
 * kernel answers a request with NLMSG_ERROR, which holds an errno and the request's header. Of those
 * that a kernel without ESP refuses the errno is made 0, and all else is done as ever. Nothing is
 * protected.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

static int refused_for_want_of_esp(const struct nlmsgerr *answer)
{
    switch (answer->msg.nlmsg_type) {
    case XFRM_MSG_NEWSA:
    case XFRM_MSG_UPDSA:
        return answer->error == -EPROTONOSUPPORT || answer->error == -ENOSYS;
    case XFRM_MSG_DELSA:
        return answer->error == -ESRCH;
    default:
        return 0;
    }
}

static void pretend(int file, void *data, ssize_t size)
{
    int domain = 0;
    socklen_t length = sizeof domain;
    if (size < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) ||
        getsockopt(file, SOL_SOCKET, SO_DOMAIN, &domain, &length) || domain != AF_NETLINK)
        return;
    unsigned left = size;
    for (struct nlmsghdr *message = data; NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
        struct nlmsgerr *answer = NLMSG_DATA(message);
        if (message->nlmsg_type == NLMSG_ERROR && refused_for_want_of_esp(answer))
            answer->error = 0;
    }
}

ssize_t recv(int file, void *data, size_t size, int flags)
{
    static ssize_t (*real)(int, void *, size_t, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "recv");
    ssize_t got = real(file, data, size, flags);
    pretend(file, data, got);
    return got;
}

ssize_t recvfrom(int file, void *restrict data, size_t size, int flags,
                 struct sockaddr *restrict from, socklen_t *restrict length)
{
    static ssize_t (*real)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "recvfrom");
    ssize_t got = real(file, data, size, flags, from, length);
    pretend(file, data, got);
    return got;
}
