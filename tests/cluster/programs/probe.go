// The container of the rig's own tests: serves a text, fetches one, or takes memory.
//
//	probe serve TEXT       answer every request on port 8080 with TEXT
//	probe get URL SECONDS  print what URL answers, tried again until it does
//	probe eat MIB          hold that much memory
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		fail("usage: probe serve TEXT | get URL SECONDS | eat MIB")
	}
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "get":
		get(os.Args[2], time.Duration(number(os.Args[3]))*time.Second)
	case "eat":
		eat(number(os.Args[2]))
	default:
		fail("no such command: " + os.Args[1])
	}
}

func serve(text string) {
	go wait()
	fail(http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, text)
	})))
}

func get(url string, patience time.Duration) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{Proxy: nil}}
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		answer, err := client.Get(url)
		if err == nil {
			io.Copy(os.Stdout, answer.Body)
			return
		}
		if time.Now().After(end) {
			fail(err)
		}
	}
}

func eat(mebibytes int) {
	var held [][]byte
	for range mebibytes {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 1
		}
		held = append(held, block)
	}
	fmt.Println("holding", len(held), "MiB")
	wait()
}

// wait ends the program when it is asked to: the first process of a container has no default for signals.
func wait() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	os.Exit(0)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fail(err)
	}
	return value
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
