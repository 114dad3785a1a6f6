<?php
// A process per request: one call after the other, connections to Redis and PostgreSQL kept between requests.

function new_id(string $parent, string $kind): string
{
    $id = bin2hex(random_bytes(8));
    file_put_contents(getenv('TRUTH'), "$parent $id $kind\n", FILE_APPEND);
    return $id;
}

function call(CurlHandle $curl, string $parent): void
{
    for ($attempt = 0; $attempt < 2; $attempt++) {
        curl_setopt($curl, CURLOPT_URL, getenv('NEXT') . '/c/' . new_id($parent, 'http'));
        if (curl_exec($curl) === false) {
            throw new RuntimeException(curl_error($curl));
        }
        if (curl_getinfo($curl, CURLINFO_RESPONSE_CODE) !== 503) {
            break;
        }
    }
}

$own = explode('/', $_SERVER['REQUEST_URI'])[2];

$cache = new Redis();
$cache->pconnect('127.0.0.1', (int) getenv('REDIS_PORT'));
$cache->get('k:' . new_id($own, 'redis'));

$curl = curl_init();
curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
if (isset($_SERVER['HTTP_X_REQUEST_ID'])) {
    curl_setopt($curl, CURLOPT_HTTPHEADER, ["X-Request-ID: {$_SERVER['HTTP_X_REQUEST_ID']}"]);
}
call($curl, $own);
call($curl, $own);

$database = pg_pconnect('host=127.0.0.1 user=postgres dbname=postgres port=' . getenv('POSTGRES_PORT'));
pg_query($database, "SELECT pause('" . new_id($own, 'sql') . "')");

echo 'ok';
