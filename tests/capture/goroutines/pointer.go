package main

import "unsafe"

func uintptrOf(buffer []byte) uintptr { return uintptr(unsafe.Pointer(&buffer[0])) }

func uintptrOfLength(length *uint32) uintptr { return uintptr(unsafe.Pointer(length)) }
