// Prints a user's list, or the hot list for an unknown user: java -cp 'lib/*' Read.java [USER]
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import redis.clients.jedis.RedisClient;

public class Read {
    public static void main(String[] args) throws Exception {
        String user = args.length > 0 ? args[0] : "u42";
        Map<String, String> env = System.getenv();
        // A prefix only if the services have one.
        String prefix = env.getOrDefault("THALWEG__REDIS__KEY_PREFIX", "");

        String value;
        try (RedisClient client = RedisClient.create(env.getOrDefault("REDIS_URL", "redis://127.0.0.1:6379/0"))) {
            // The braces are part of the key.
            value = client.get(prefix + "recs:{" + user + "}");
            if (value == null) {
                value = client.get(prefix + "hot");
            }
        }
        if (value == null) {
            System.err.println("no list for " + user + " and no hot list");
            System.exit(1);
        }

        JsonNode slate = new ObjectMapper().readTree(value);
        System.out.println("model " + slate.get("model").asText());
        for (JsonNode entry : slate.get("items")) {
            List<String> because = new ArrayList<>();
            entry.get("because").forEach(item -> because.add(item.asText()));
            System.out.println(
                    entry.get("id").asText() + " " + entry.get("from").asText() + " " + String.join(", ", because));
        }
    }
}
