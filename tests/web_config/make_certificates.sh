#!/bin/sh
# Makes the certificates of the tests anew; they are good for a hundred years. Needs OpenSSL 3.
set -eu
cd "$(dirname "$0")"
days=36500

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

authority() { # file, name
	key "$1"
	openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days $days -out "$1.crt" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

certificate() { # file, authority, use, names, days
	key "$1"
	openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
	printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$3" "$4" >extensions
	openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days "$5" -extfile extensions \
		-out "$1.crt"
	rm "$1.csr" extensions "$2.srl"
}

local=DNS:localhost,IP:127.0.0.1,IP:::1
authority ca "Test authority"
authority foreign_ca "Another authority"
certificate server ca serverAuth $local $days
certificate renewed ca serverAuth $local $days
certificate expired ca serverAuth $local -1
certificate client ca clientAuth DNS:prometheus.example,IP:2001:db8::1,email:ops@example.com,URI:spiffe://example/p $days
certificate foreign_client foreign_ca clientAuth DNS:prometheus.example $days
openssl pkey -in server.key -aes256 -passout pass:passphrase -out encrypted.key
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
rm ca.key foreign_ca.key
