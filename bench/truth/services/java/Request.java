import com.sun.net.httpserver.HttpExchange;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.HexFormat;

/** A request that is worked on, and the calls that belong to it. */
final class Request {
    private static final OutputStream LEDGER = ledger();
    private static final SecureRandom RANDOM = new SecureRandom();

    private final HttpExchange exchange;
    private final String id;
    /** X-Request-ID, or nothing. */
    final String requestId;

    Request(HttpExchange exchange) {
        this.exchange = exchange;
        id = exchange.getRequestURI().getPath().substring("/r/".length());
        requestId = exchange.getRequestHeaders().getFirst("X-Request-ID");
    }

    private static OutputStream ledger() {
        try {
            return new FileOutputStream(System.getenv("TRUTH"), true);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private String newId(String kind) {
        byte[] bytes = new byte[8];
        RANDOM.nextBytes(bytes);
        String own = HexFormat.of().formatHex(bytes);
        try {
            LEDGER.write((id + " " + own + " " + kind + "\n").getBytes(StandardCharsets.US_ASCII));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return own;
    }

    String newUrl() {
        return System.getenv("NEXT") + "/c/" + newId("http");
    }

    String newKey() {
        return "k:" + newId("redis");
    }

    String newStatement() {
        return "SELECT pause('" + newId("sql") + "')";
    }

    /** Answers, also that something failed. */
    void answer(Throwable failure) {
        byte[] body = (failure == null ? "ok" : failure.toString()).getBytes(StandardCharsets.UTF_8);
        try (exchange) {
            exchange.sendResponseHeaders(failure == null ? 200 : 500, body.length);
            exchange.getResponseBody().write(body);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
