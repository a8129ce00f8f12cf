// Kills the process at the n-th call that changes a file whose path has "outbox" in it.
//
// kill_at(n, how): 1 = the call does not happen, 2 = a write is torn in half, 3 = power cut: of every
// file, what was written since its last fsync is undone, 4 = the same, but each such write survives or
// not by chance. 0 = count only. calls() tells how many there were. Renames and unlinks count as
// durable when they happen: what becomes of a folder without fsync is not modelled.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

struct Write {
    int fd;
    ino_t file;
    off_t at;
    std::string before;
    off_t size;  // of the file, before
};

std::vector<Write> *unsynced = new std::vector<Write>;
long count = 0, last = -1;
int manner = 0;

template <class F>
F real(const char *name) {
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

using Pwrite = ssize_t (*)(int, const void *, size_t, off_t);

bool ours(const char *path) { return path && strstr(path, "outbox"); }

bool ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0 || path[0] != '/') return false;
    path[size] = 0;
    return ours(path);
}

void undo(bool by_chance) {
    static auto pwrite_ = real<Pwrite>("pwrite64");
    static auto truncate_ = real<int (*)(int, off_t)>("ftruncate64");
    unsigned long dice = 88172645463325252UL + last;
    for (auto w = unsynced->rbegin(); w != unsynced->rend(); ++w) {
        dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
        if (by_chance && (dice & 1)) continue;
        if (!w->before.empty()) pwrite_(w->fd, w->before.data(), w->before.size(), w->at);
        if (!by_chance) truncate_(w->fd, w->size);
    }
}

// Whether the call may go on; does not return when it is the last.
void step(int fd = -1, const void *data = nullptr, size_t size = 0, off_t at = 0) {
    if (++count != last || manner == 0) return;
    static auto pwrite_ = real<Pwrite>("pwrite64");
    if (manner == 2 && data) pwrite_(fd, data, size / 2, at);
    if (manner >= 3) undo(manner == 4);
    kill(getpid(), SIGKILL);
    pause();
}

void remember(int fd, size_t size, off_t at) {
    struct stat now;
    fstat(fd, &now);
    std::string before(size, 0);
    ssize_t had = pread(fd, &before[0], size, at);
    before.resize(had > 0 ? had : 0);
    unsynced->push_back({dup(fd), now.st_ino, at, before, now.st_size});
}

void forget(int fd) {
    struct stat now;
    fstat(fd, &now);
    std::vector<Write> rest;
    for (auto &w : *unsynced) {
        if (w.file == now.st_ino) close(w.fd);
        else rest.push_back(w);
    }
    *unsynced = rest;
}

}  // namespace

extern "C" {

void kill_at(long n, int how) { count = 0, last = n, manner = how, unsynced->clear(); }
long calls() { return count; }

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    static auto real_ = real<Pwrite>("pwrite64");
    if (ours(fd)) {
        step(fd, data, size, at);
        remember(fd, size, at);
    }
    return real_(fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
    static auto real_ = real<ssize_t (*)(int, const void *, size_t)>("write");
    if (ours(fd)) {
        off_t at = lseek(fd, 0, SEEK_CUR);
        step(fd, data, size, at);
        remember(fd, size, at);
    }
    return real_(fd, data, size);
}

int ftruncate64(int fd, off_t size) noexcept {
    static auto real_ = real<int (*)(int, off_t)>("ftruncate64");
    if (ours(fd)) {
        step();
        struct stat now;
        fstat(fd, &now);
        remember(fd, now.st_size > size ? now.st_size - size : 0, size);
    }
    return real_(fd, size);
}
int ftruncate(int fd, off_t size) noexcept { return ftruncate64(fd, size); }

int fsync(int fd) {
    static auto real_ = real<int (*)(int)>("fsync");
    if (!ours(fd)) return real_(fd);
    step();
    forget(fd);
    return 0;  // the test's folder is in memory
}
int fdatasync(int fd) { return fsync(fd); }

int unlink(const char *path) noexcept {
    static auto real_ = real<int (*)(const char *)>("unlink");
    if (ours(path)) step();
    return real_(path);
}

int rename(const char *from, const char *to) noexcept {
    static auto real_ = real<int (*)(const char *, const char *)>("rename");
    if (ours(from)) step();
    return real_(from, to);
}
}
