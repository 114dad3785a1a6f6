import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariDataSource;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.async.RedisAsyncCommands;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Futures all the way: java.net.http, Lettuce on one connection, and a pool of threads for JDBC. */
final class Asynchronous {
    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final RedisAsyncCommands<String, String> cache =
            RedisClient.create("redis://127.0.0.1:" + System.getenv("REDIS_PORT")).connect().async();
    private final HikariDataSource database = Blocking.database();
    private final ExecutorService queries = Executors.newFixedThreadPool(32);

    private CompletionStage<?> work(Request request) {
        return cache.get(request.newKey())
                .thenCompose(found -> CompletableFuture.allOf(call(request), call(request)))
                .thenRunAsync(() -> Blocking.query(database, request.newStatement()), queries);
    }

    private CompletableFuture<HttpResponse<String>> call(Request request) {
        return once(request).thenCompose(
                answer -> answer.statusCode() == 503 ? once(request) : CompletableFuture.completedFuture(answer));
    }

    private CompletableFuture<HttpResponse<String>> once(Request request) {
        HttpRequest.Builder call = HttpRequest.newBuilder(URI.create(request.newUrl()));
        if (request.requestId != null) {
            call.header("X-Request-ID", request.requestId);
        }
        return client.sendAsync(call.build(), BodyHandlers.ofString());
    }

    public static void main(String[] arguments) throws IOException {
        Asynchronous service = new Asynchronous();
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 256);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/r/", exchange -> {
            Request request = new Request(exchange);
            service.work(request).whenComplete((done, failure) -> request.answer(failure));
        });
        server.start();
    }
}
