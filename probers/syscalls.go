package probers

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are made for every probe. They are raw because the ones of
// x/sys/unix allocate for addresses and control messages, and because none of
// them can block: the sockets are not, so the scheduler need not be told, which
// would wake up the thread that watches it.

func sendto(fd int, packet []byte, to unsafe.Pointer, size uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(packet))),
		uintptr(len(packet)), unix.MSG_DONTWAIT, uintptr(to), size)
	return errno
}

func connect(fd int, to unsafe.Pointer, size uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(to), size)
	return errno
}

func getsockopt(fd, level, name int, to unsafe.Pointer, size uint32) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(to), uintptr(unsafe.Pointer(&size)), 0)
	return errno
}

func setsockopt(fd, level, name int, value unsafe.Pointer, size uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(value), size, 0)
	return errno
}

// setOption sets a socket option that is a number.
func setOption(fd, level, name, value int) unix.Errno {
	number := int32(value)
	return setsockopt(fd, level, name, unsafe.Pointer(&number), unsafe.Sizeof(number))
}

// socket opens a non-blocking socket in the network namespace of the calling
// thread.
func socket(domain, kind, protocol int) (int, unix.Errno) {
	fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(domain),
		uintptr(kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), uintptr(protocol))
	return int(fd), errno
}

// write gives a connection what it takes of the bytes, and returns how many
// that were.
func write(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// read reads what has come of a connection, 0 bytes at its end.
func read(fd int, to []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(to))),
		uintptr(len(to)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func closeFD(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32 // bytes of the message; more than the buffer holds with MSG_TRUNC
}

// recvmmsg returns how many messages there were, 0 if none or on an error. The
// error of a socket, such as an ICMP error about what it sent, is reported
// once and is not about the messages that wait: then it tries again.
func recvmmsg(fd int, messages []mmsghdr, flags int) int {
	n, errno := tryRecvmmsg(fd, messages, flags)
	if errno != 0 && errno != unix.EAGAIN {
		n, errno = tryRecvmmsg(fd, messages, flags)
	}
	if errno != 0 {
		return 0
	}
	return n
}

func tryRecvmmsg(fd int, messages []mmsghdr, flags int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(messages))),
		uintptr(len(messages)), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	return int(n), errno
}

// epollWait returns how many events there are now.
func epollWait(epoll int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

func epollCtl(epoll, operation, fd int, event *unix.EpollEvent) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(operation), uintptr(fd),
		uintptr(unsafe.Pointer(event)), 0, 0)
	return errno
}

// setTimer makes a timerfd expire once, after the given time.
func setTimer(fd int, after time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(after))}
	_, _, _ = unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}

// momentTimer returns a timer that expires at the multiples of a time by the
// kernel's monotonic clock. While it has expired it is readable; read it with
// readTimer.
//
// Source: timerfd_create(2).
func momentTimer(every time.Duration) (fd int, err error) {
	fd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	first := monotonic()/int64(every)*int64(every) + int64(every)
	spec := unix.ItimerSpec{Interval: unix.NsecToTimespec(int64(every)), Value: unix.NsecToTimespec(first)}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

// readTimer makes a timer that has expired wait for its next time.
func readTimer(fd int) {
	var expired uint64
	_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&expired)), unsafe.Sizeof(expired))
}

// sockaddr is a socket address in the kernel's form, of either family.
type sockaddr struct {
	v4 unix.RawSockaddrInet4
	v6 unix.RawSockaddrInet6
}
