// Talks over TCP from many goroutines, and writes down which one used which socket.
//
// It waits for a line on standard input, then prints `goroutine COOKIE NUMBER PARENT` per goroutine and socket, and `end`.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

const soCookie = 57

var (
	own    = regexp.MustCompile(`^goroutine (\d+) `)
	parent = regexp.MustCompile(`created by .* in goroutine (\d+)\n`)
	output sync.Mutex
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func cookie(connection net.Conn) uint64 {
	raw, err := connection.(*net.TCPConn).SyscallConn()
	check(err)
	return cookieOf(raw)
}

func cookieOf(raw syscall.RawConn) uint64 {
	var value uint64
	check(raw.Control(func(descriptor uintptr) {
		// As two words: the package has no call for 64 bits.
		buffer := make([]byte, 8)
		length := uint32(8)
		_, _, number := syscall.Syscall6(syscall.SYS_GETSOCKOPT, descriptor, syscall.SOL_SOCKET, soCookie,
			uintptrOf(buffer), uintptrOfLength(&length), 0)
		if number != 0 {
			panic(number)
		}
		for at := 7; at >= 0; at-- {
			value = value<<8 | uint64(buffer[at])
		}
	}))
	return value
}

func note(connection net.Conn) {
	stack := make([]byte, 16<<10)
	stack = stack[:runtime.Stack(stack, false)]
	number, err := strconv.Atoi(string(own.FindSubmatch(stack)[1]))
	check(err)
	maker := 0
	if found := parent.FindSubmatch(stack); found != nil {
		maker, err = strconv.Atoi(string(found[1]))
		check(err)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Printf("goroutine %d %d %d\n", cookie(connection), number, maker)
}

func serve(connection net.Conn) {
	defer connection.Close()
	note(connection)
	buffer := make([]byte, 100)
	// Not io.Copy: that splices, and nothing comes to the program.
	for {
		length, err := connection.Read(buffer)
		if err != nil {
			return
		}
		_, err = connection.Write(buffer[:length])
		check(err)
	}
}

func ask(address string, done *sync.WaitGroup) {
	defer done.Done()
	// Asked for before the connection is made, so that it is the number under which every capture level knows it.
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		cookieOf(raw)
		return nil
	}}
	connection, err := dialer.Dial("tcp", address)
	check(err)
	defer connection.Close()
	note(connection)
	buffer := make([]byte, 100)
	for range [20]int{} {
		_, err = connection.Write(buffer)
		check(err)
		_, err = io.ReadFull(connection, buffer)
		check(err)
		runtime.Gosched()
	}
}

func main() {
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		for {
			connection, err := listener.Accept()
			check(err)
			go serve(connection)
		}
	}()
	var done sync.WaitGroup
	for range [20]int{} {
		done.Add(1)
		go ask(listener.Addr().String(), &done)
	}
	done.Wait()
	fmt.Println("end")
}
