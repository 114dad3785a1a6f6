// Prices: what a piece of an item costs, kept in PostgreSQL. Some items have no price and some no pieces, so that there is something
// to find.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)
	port := flag.Int("port", 0, "port to listen on; 0 takes a free one")
	postgres := flag.Int("postgres", 0, "port of PostgreSQL")
	file := flag.String("ledger", "", "file for the counts, written at the end")
	flag.Parse()

	ledger := newLedger()
	store, err := open(*postgres, ledger)
	check(err)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)

	serve(listener, prices{store, ledger})
	check(store.Close())
	if *file != "" {
		check(ledger.write(*file))
	}
}

// serve serves until SIGTERM or SIGINT.
func serve(listener net.Listener, handler http.Handler) {
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	server := &http.Server{Handler: handler}
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-stopped.Done()
	check(server.Shutdown(context.Background()))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
