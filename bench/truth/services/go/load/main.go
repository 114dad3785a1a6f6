// The load: so many connections ask one request after the other. Each id that was answered is printed.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	url := flag.String("url", "", "where to ask")
	concurrency := flag.Int("concurrency", 1, "connections")
	requests := flag.Int("requests", 1, "requests of all connections together")
	seed := flag.Uint64("seed", 1, "of the ids")
	flag.Parse()
	ids := make(chan string)
	go func() {
		chooser := rand.New(rand.NewPCG(*seed, uint64(*concurrency)))
		for range *requests {
			ids <- fmt.Sprintf("%016x", chooser.Uint64())
		}
		close(ids)
	}()
	transport := &http.Transport{MaxIdleConnsPerHost: *concurrency}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Minute}
	answered := make(chan string, *requests)
	var asking sync.WaitGroup
	for range *concurrency {
		asking.Go(func() {
			for id := range ids {
				if err := ask(client, *url+"/r/"+id); err != nil {
					log.Print(err)
				} else {
					answered <- id
				}
			}
		})
	}
	asking.Wait()
	close(answered)
	out := bufio.NewWriter(os.Stdout)
	for id := range answered {
		fmt.Fprintln(out, id)
	}
	out.Flush()
}

func ask(client *http.Client, url string) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return nil
}
